"""What the OpenAPI document says besides the views: problems, keys of repetition, versions."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description=(
        "1 to 255 visible ASCII characters, new for each new wish. Repeating it with the same body"
        " gives the first answer again, marked Idempotent-Replayed: true."
    ),
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description='The version that was read, as in "3"; 412 when somebody changed it meanwhile.',
)

# Component name: description of the problem response.
PROBLEMS = {
    "Malformed": "Not parsable, a bad cursor, or no Idempotency-Key.",
    "NotAuthenticated": "No key, or not a valid one.",
    "NotAllowed": "Visible, but not allowed for this key.",
    "NotFound": "Unknown, or not visible for this key; the two answers are identical.",
    "Conflict": "Wrong state, repeated reference, or a key that is still being worked on.",
    "Gone": "The offer has ended.",
    "Stale": "Somebody changed it meanwhile.",
    "TooLarge": "The body is too large.",
    "WrongType": "The body's type is not accepted.",
    "Invalid": "Parsed, but wrong: one error for each fault.",
    "TooMany": "Too many requests; see Retry-After.",
    "Unavailable": "Busy or away; see Retry-After.",
}
ALWAYS = {"401": "NotAuthenticated", "429": "TooMany", "503": "Unavailable"}
ALWAYS_BUT_OPEN = {"429": "TooMany", "503": "Unavailable"}
WITH_BODY = {"400": "Malformed", "413": "TooLarge", "415": "WrongType", "422": "Invalid"}
WITH_QUERY = {"400": "Malformed", "422": "Invalid"}
ON_CHANGE = {"403": "NotAllowed", "409": "Conflict", "412": "Stale"}

PROBLEM = {
    "type": "object",
    "description": "RFC 9457. Some problems carry more members, such as allowed_events.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "The HTTP status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For a person, in the language asked for."},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "Stable; for programs."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldProblem"}},
        "request_id": {"type": "string"},
    },
}
FIELD_PROBLEM = {
    "type": "object",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {
            "type": "string",
            "description": "JSON pointer into the body, or ?name for a query parameter.",
        },
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}


class Schema(AutoSchema):
    """Adds the Idempotency-Key to what ``accounts.idempotency.idempotent`` decorates."""

    def get_override_parameters(self) -> list[Any]:
        action = getattr(self.view, "action", None) or self.method.lower()
        declared = list(super().get_override_parameters())
        if getattr(getattr(self.view, action, None), "idempotent", False):
            declared.append(IDEMPOTENCY_KEY)
        return declared


def add_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """drf-spectacular's hook: every operation names the problems that it can answer with."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(Problem=PROBLEM, FieldProblem=FIELD_PROBLEM)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    components.setdefault("responses", {}).update(
        {name: {"description": text, "content": content} for name, text in PROBLEMS.items()}
    )
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            for status, name in _expected(path, method, operation).items():
                operation["responses"].setdefault(
                    status, {"$ref": f"#/components/responses/{name}"}
                )
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return result


def _expected(path: str, method: str, operation: dict[str, Any]) -> dict[str, str]:
    found = dict(ALWAYS if operation.get("security") else ALWAYS_BUT_OPEN)
    if operation.get("security"):
        found["403"] = "NotAllowed"
    if "{" in path:
        found["404"] = "NotFound"
    if method != "get":
        found |= ON_CHANGE
    if "requestBody" in operation:
        found |= WITH_BODY
    elif any(parameter["in"] == "query" for parameter in operation.get("parameters", [])):
        found |= WITH_QUERY
    if method == "post":
        found["400"] = "Malformed"
        found["422"] = "Invalid"
    return found
