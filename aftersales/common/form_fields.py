"""``{% load form_fields %}``: a form's control in the portal's look, without a form library."""

from django import forms, template
from django.utils.safestring import SafeString

register = template.Library()

SELECTS = (forms.Select, forms.SelectMultiple)
CHECKS = (forms.CheckboxInput, forms.RadioSelect, forms.CheckboxSelectMultiple)


@register.filter
def control(field: forms.BoundField) -> SafeString:
    """The widget with its class; its label stands above it, so a placeholder would only repeat it.

    Django itself ties help and errors to it (``aria-describedby``, ``aria-invalid``).
    """
    widget = field.field.widget
    widget.attrs.pop("placeholder", None)
    kind = "form-control"
    if isinstance(widget, SELECTS):
        kind = "form-select"
    elif isinstance(widget, CHECKS):
        kind = "form-check-input"
    if field.errors:
        kind += " is-invalid"
    return field.as_widget(attrs={"class": f"{widget.attrs.get('class', '')} {kind}".strip()})


@register.filter
def is_check(field: forms.BoundField) -> bool:
    """A single box to tick: its label stands behind it."""
    return isinstance(field.field.widget, forms.CheckboxInput)
