"""REST for cases: lists, the whole case, and every event of its machine as one POST."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import Prefetch
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from aftersales.accounts.actors import ActorKind
from aftersales.accounts.idempotency import idempotent
from aftersales.accounts.models import Scope, User
from aftersales.common import dbtime, errors
from aftersales.common.api import versions
from aftersales.common.api.schema import IF_MATCH
from aftersales.common.api.serializers import StrictSerializer, read_body, read_query
from tickets import workflow
from tickets.api import inputs, outputs
from tickets.api.cases import OfCases
from tickets.models import Clock, Event, Explanation, Message, Ticket
from tickets.models.ticket import TicketQuerySet
from tickets.workflow.links import follow_up_url


def transition(
    takes: type[StrictSerializer], *, url_path: str | None = None
) -> Callable[[Callable[..., None]], Any]:
    """A POST that is one event of the case's machine and answers with the case as it is now."""

    def decorate(handler: Callable[..., None]) -> Any:
        def call(view: Any, request: Request, /, **kwargs: Any) -> Response:
            body = read_body(takes, request)
            ticket_id = view.ticket_id()
            kwargs.pop("public_id")
            handler(view, ticket_id, body, version=versions.expected_version(request), **kwargs)
            answer: Response = view.case(Ticket.objects.filter(pk=ticket_id))
            return answer

        call.__name__, call.__doc__ = handler.__name__, handler.__doc__
        route = action(detail=True, methods=["post"], url_path=url_path)(idempotent()(call))
        describe = extend_schema(
            request=takes, responses={200: outputs.StaffTicketOutput}, parameters=[IF_MATCH]
        )
        return describe(route)

    return decorate


class TicketViewSet(OfCases, GenericViewSet[Ticket]):
    """Cases. A shop's key sees its own, a staff key what its user sees."""

    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    serializer_class = outputs.TicketRow
    keyset: tuple[str, ...] = ("-created_at", "-id")
    shop_scopes = {
        "list": Scope.TICKETS_READ,
        "retrieve": Scope.TICKETS_READ,
        "messages": Scope.TICKETS_READ,
        "create": Scope.TICKETS_WRITE,
        "write_message": Scope.TICKETS_WRITE,
        "cancel": Scope.TICKETS_WRITE,
        "reopen": Scope.TICKETS_WRITE,
        "urge": Scope.TICKETS_WRITE,
    }

    # --- what every call shares --------------------------------------------------------------

    def get_queryset(self) -> TicketQuerySet:
        return Ticket.objects.visible_to(self.actor)

    def case(self, cases: TicketQuerySet) -> Response:
        """The one case as the caller may see it, with its version as ETag."""
        is_staff = self.actor.kind == ActorKind.STAFF
        cases = cases.select_related("owner", "team", "contact__customer").prefetch_related(
            Prefetch("clocks", Clock.objects.select_related("target").order_by("pk"))
        )
        if is_staff:
            explanations = Explanation.objects.select_related("clock", "author", "signer")
            cases = cases.prefetch_related(
                Prefetch("explanations", explanations.order_by("number")), "holds"
            )
        ticket = cases.first()
        if ticket is None:
            raise errors.NotVisible()
        output = outputs.StaffTicketOutput if is_staff else outputs.TicketOutput
        data = output(ticket, context={"now": dbtime.database_now(), "actor": self.actor}).data
        return Response(data, headers={"ETag": versions.etag(ticket.version)})

    def page_of(self, rows: Any, output: type[Any]) -> Response:
        """One page of something that belongs to the case, by the action's own ``keyset``."""
        return self.get_paginated_response(output(self.paginate_queryset(rows), many=True).data)

    # --- reading -----------------------------------------------------------------------------

    @extend_schema(parameters=[inputs.ListQuery], responses={200: outputs.TicketRow(many=True)})
    def list(self, request: Request) -> Response:
        """Cases, newest first."""
        query = read_query(inputs.ListQuery, request)
        now = dbtime.database_now()
        tickets = self.get_queryset().select_related("owner")
        for name in ("status", "level"):
            if name in query:
                tickets = tickets.filter(**{name: query[name]})
        if "overdue" in query:
            late = Ticket.objects.overdue(now).values("pk")
            tickets = tickets.overdue(now) if query["overdue"] else tickets.exclude(pk__in=late)
        page = self.paginate_queryset(tickets)
        data = outputs.TicketRow(page, many=True, context={"now": now}).data
        return self.get_paginated_response(data)

    @extend_schema(responses={200: outputs.StaffTicketOutput})
    def retrieve(self, request: Request, public_id: UUID) -> Response:
        """One case. A shop sees it without what is inside the firm."""
        return self.case(self.get_queryset().filter(public_id=public_id))

    @extend_schema(responses={200: outputs.MessageOutput(many=True)})
    @action(detail=True, methods=["get"])
    def messages(self, request: Request, public_id: UUID) -> Response:
        """What was said, oldest first; internal notes for staff only."""
        self.keyset = ("created_at", "id")
        messages = Message.objects.filter(ticket=self.ticket_id()).select_related("author")
        if self.actor.kind != ActorKind.STAFF:
            messages = messages.exclude(kind=Message.Kind.NOTE)
        return self.page_of(messages, outputs.MessageOutput)

    @extend_schema(responses={200: outputs.EventOutput(many=True)})
    @action(detail=True, methods=["get"])
    def events(self, request: Request, public_id: UUID) -> Response:
        """What happened, in the order in which it was written; for staff."""
        self.keyset = ("id",)
        return self.page_of(Event.objects.filter(ticket=self.ticket_id()), outputs.EventOutput)

    # --- intake and words --------------------------------------------------------------------

    @extend_schema(request=inputs.TicketInput, responses={201: outputs.IntakeOutput})
    @idempotent()
    def create(self, request: Request) -> Response:
        """Report a case. Unknown models, serials and orders are taken, and named in warnings."""
        serializer = inputs.TicketInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        report = serializer.create_report(language=translation.get_language() or "zh-hans")
        try:
            intake = workflow.take_in(report, by=self.actor)
        except errors.Conflict as conflict:
            if known := conflict.extra.pop("known", None):
                conflict.extra["url"] = outputs.ticket_url(known)
            raise
        now = intake.ticket.received_at
        data = outputs.IntakeOutput(
            intake, context={"now": now, "follow_up_url": follow_up_url(intake.ticket, now)}
        ).data
        return Response(
            data,
            status=status.HTTP_201_CREATED,
            headers={"Location": data["url"], "ETag": versions.etag(intake.ticket.version)},
        )

    @extend_schema(request=inputs.MessageInput, responses={201: outputs.MessageOutput})
    @messages.mapping.post
    @idempotent()
    def write_message(self, request: Request, public_id: UUID) -> Response:
        """Staff answer the customer or write a note; a shop writes for its customer."""
        body = read_body(inputs.MessageInput, request)
        ticket_id, words = self.ticket_id(), workflow.Words(body["body"])
        if self.actor.kind == ActorKind.STAFF:
            write = workflow.write_note if body["internal"] else workflow.reply_to_customer
        elif body["internal"]:
            raise errors.Invalid(
                errors.FieldError("/internal", "staff_only", _("Only staff write internal notes."))
            )
        else:
            write = workflow.write_as_customer
        message = write(ticket_id, words, by=self.actor)
        return Response(outputs.MessageOutput(message).data, status=status.HTTP_201_CREATED)

    # --- the machine -------------------------------------------------------------------------

    @transition(inputs.AssignInput)
    def assign(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """Give the case to one owner, by staff number; the customer is told who it is."""
        workflow.assign_ticket(
            ticket_id,
            owner_id=_staff_id(body["owner"]),
            reason=body["reason"],
            by=self.actor,
            version=version,
        )

    @transition(inputs.ComplainedOfInput, url_path="complained-of")
    def complained_of(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """Note whom a complaint is about, by staff number; this person cannot handle it."""
        workflow.name_complained_of(
            ticket_id, user_id=_staff_id(body["person"]), by=self.actor, version=version
        )

    @transition(inputs.NothingInput)
    def start(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """Begin the work."""
        workflow.start_ticket(ticket_id, by=self.actor, version=version)

    @transition(inputs.GradeInput)
    def grade(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """Decide the level; the deadlines are matched anew."""
        workflow.grade_ticket(ticket_id, **body, by=self.actor, version=version)

    @transition(inputs.FileInput)
    def file(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """File the decided level of an urgent or important case, or send it back with a reason."""
        if body["decision"] == "file":
            workflow.file_grading(ticket_id, by=self.actor, version=version)
        else:
            workflow.return_filing(ticket_id, reason=body["reason"], by=self.actor, version=version)

    @transition(inputs.WaitInput)
    def wait(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """Wait for a named reason, which stops the clocks that the policy says."""
        workflow.wait_ticket(ticket_id, **body, by=self.actor, version=version)

    @transition(inputs.NothingInput)
    def resume(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """Go on: what was waited for has come."""
        workflow.resume_ticket(ticket_id, by=self.actor, version=version)

    @transition(inputs.NothingInput)
    def urge(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """The customer urges; it is counted and shown."""
        workflow.urge_ticket(ticket_id, by=self.actor)

    @transition(inputs.ResolveInput)
    def resolve(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """Tell the customer the solution."""
        workflow.resolve_ticket(ticket_id, **body, by=self.actor, version=version)

    @transition(inputs.OptionalReasonInput)
    def close(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """File the case away; an unsigned explanation or a hold prevents it."""
        workflow.close_ticket(ticket_id, **body, by=self.actor, version=version)

    @transition(inputs.ReasonInput)
    def reopen(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """It was not solved: a new cycle begins."""
        workflow.reopen_ticket(ticket_id, **body, by=self.actor, version=version)

    @transition(inputs.ReasonInput)
    def cancel(self, ticket_id: int, body: dict[str, Any], version: int | None) -> None:
        """The case falls away."""
        workflow.cancel_ticket(ticket_id, **body, by=self.actor, version=version)

    # --- overdue explanations ------------------------------------------------------------------

    @transition(inputs.ExplanationInput, url_path="explanations/<int:number>/submit")
    def submit_explanation(
        self, ticket_id: int, body: dict[str, Any], version: int | None, number: int
    ) -> None:
        """The owner explains a missed deadline."""
        workflow.submit_explanation(ticket_id, number, **body, by=self.actor)

    @transition(inputs.NothingInput, url_path="explanations/<int:number>/sign")
    def sign_explanation(
        self, ticket_id: int, body: dict[str, Any], version: int | None, number: int
    ) -> None:
        """A manager who did not write it signs."""
        workflow.sign_explanation(ticket_id, number, by=self.actor)

    @transition(inputs.ReasonInput, url_path="explanations/<int:number>/return")
    def return_explanation(
        self, ticket_id: int, body: dict[str, Any], version: int | None, number: int
    ) -> None:
        """A manager sends it back with a reason."""
        workflow.return_explanation(ticket_id, number, **body, by=self.actor)


def _staff_id(number: str) -> int:
    """The user of a staff number; 0, which nobody has, for an unknown one."""
    return (
        User.objects.filter(staff_number__iexact=number).values_list("pk", flat=True).first() or 0
    )
