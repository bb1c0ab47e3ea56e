"""Shapes of HTML input about cases."""

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

LONGEST_MESSAGE = 5000


class MessageForm(forms.Form):
    """What a customer writes. ``submission_id`` makes a form that is sent twice one message."""

    submission_id = forms.UUIDField(widget=forms.HiddenInput)
    body = forms.CharField(
        label=_("Your message"),
        max_length=LONGEST_MESSAGE,
        error_messages={
            "required": _("Please write a few words first."),
            "max_length": _("Please keep it under %(limit_value)d characters."),
        },
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"submission_id": uuid.uuid4()})
        super().__init__(*args, **kwargs)
