"""What a customer sees: one case, opened by its secret link, without an account.

The page knows nothing but what is the customer's own or meant for them: no internal note, no
level, no address of a colleague. Their own data are shown as masks, for links are forwarded.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from aftersales.accounts import actors, limits
from aftersales.accounts.actors import Actor
from aftersales.common import dbtime, errors
from aftersales.messaging import links
from tickets import clocks, permissions, sla, states, workflow
from tickets.forms import MessageForm
from tickets.models import Clock, Message, PauseReason, Ticket
from tickets.models.clock import CONFIRMATION, RESOLUTION, RESPONSE

SHOWN_MESSAGES = 100
# Whoever holds the link may write, but not flood the case and its owner's bell.
MESSAGES_AN_HOUR = limits.Limit("case-link", 20, limits.HOUR)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def case(request: HttpRequest, token: str) -> HttpResponse:
    """The case behind a link; a link that opens nothing gets one answer, whatever the reason."""
    now = dbtime.database_now()
    try:
        ticket, customer = _behind(token, now)
    except errors.NotVisible:
        return render(request, "customer/no_case.html", {"plain": True}, status=404)
    if request.method == "POST":
        return _write(request, ticket, customer, now)
    return _page(request, ticket, customer, MessageForm(), now)


def _behind(token: str, now: datetime) -> tuple[Ticket, Actor]:
    """The case that the token opens and the customer it opens it for. Raises NotVisible."""
    public_id = links.resolve(token, states.CASE_LINK, now)
    tickets = Ticket.objects.select_related("owner", "contact__customer", "product")
    ticket = tickets.filter(public_id=public_id).exclude(kind__in=states.INTERNAL_KINDS).first()
    if ticket is None or ticket.contact_id is None:
        raise errors.NotVisible
    return ticket, actors.customer(ticket.contact_id)


def _write(request: HttpRequest, ticket: Ticket, customer: Actor, now: datetime) -> HttpResponse:
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _page(request, ticket, customer, form, now, status=422)
    if seconds := limits.take(MESSAGES_AN_HOUR, str(ticket.public_id)):
        form.add_error(None, str(errors.TooMany.detail))
        response = _page(request, ticket, customer, form, now, status=429)
        response.headers["Retry-After"] = str(seconds)
        return response
    words = workflow.Words(
        body=form.cleaned_data["body"],
        channel=states.Channel.WEB,
        # Bound to the case, so that a form copied to another case is another message.
        submission_id=uuid.uuid5(ticket.public_id, str(form.cleaned_data["submission_id"])),
    )
    try:
        workflow.write_as_customer(ticket.pk, words, by=customer)
    except errors.WrongState:
        form.add_error(None, _("This case has ended meanwhile, so nothing can be added to it."))
        ticket.refresh_from_db()
        return _page(request, ticket, customer, form, now, status=409)
    messages.success(request, _("Thank you, your message has arrived."))
    return redirect(request.path)


def _page(
    request: HttpRequest,
    ticket: Ticket,
    customer: Actor,
    form: MessageForm,
    now: datetime,
    *,
    status: int = 200,
) -> HttpResponse:
    if form.errors:
        # The page opens where something is to be put right, not at its top.
        form.fields["body"].widget.attrs["autofocus"] = True
    context = {
        "ticket": ticket,
        "promises": Promises.of(ticket, now),
        "wait": _wait(ticket),
        "messages_shown": _public_messages(ticket),
        "personal": ticket.contact.masked() if ticket.contact else {},
        "form": form,
        "may_write": "write" in permissions.allowed_events(customer, ticket),
    }
    return render(request, "customer/case.html", context, status=status)


@dataclass(frozen=True)
class Promises:
    """What the customer may expect by when, and what they could have expected by now."""

    answered_by: datetime | None
    solved_by: datetime | None
    objections_until: datetime | None
    answer_was_due: datetime | None
    solution_was_due: datetime | None

    @classmethod
    def of(cls, ticket: Ticket, now: datetime) -> "Promises":
        kinds = (RESPONSE, RESOLUTION, CONFIRMATION)
        running = Clock.objects.filter(
            ticket=ticket, kind__in=kinds, state=sla.State.RUNNING
        ).order_by("due_at")
        due = {clock.kind: clock.due_at for clock in running}
        ahead = {kind: at for kind, at in due.items() if at >= now}
        missed = {kind: at for kind, at in due.items() if at < now}
        return cls(
            answered_by=ahead.get(RESPONSE),
            solved_by=ahead.get(RESOLUTION),
            objections_until=ahead.get(CONFIRMATION),
            answer_was_due=missed.get(RESPONSE),
            solution_was_due=missed.get(RESOLUTION),
        )


@dataclass(frozen=True)
class Wait:
    """What the case waits for, and until when at the latest."""

    reason: PauseReason
    until: datetime

    @property
    def is_for_customer(self) -> bool:
        return self.reason.ends_on_customer_message


def _wait(ticket: Ticket) -> Wait | None:
    if ticket.status != states.Status.WAITING:
        return None
    pause = ticket.pauses.filter(ended_at__isnull=True, subject="").first()
    reason = clocks.policy(ticket.policy_id).pause_reasons.get(ticket.waiting_reason)
    return Wait(reason, pause.limit_at) if pause and reason else None


def _public_messages(ticket: Ticket) -> list[Message]:
    """The latest ones that the customer may see, oldest first."""
    public = ticket.messages.exclude(kind=Message.Kind.NOTE).select_related("author")
    return list(public.order_by("-created_at", "-pk")[:SHOWN_MESSAGES])[::-1]
