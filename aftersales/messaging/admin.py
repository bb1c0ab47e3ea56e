"""What an administrator sees of the messages: read only, but for sending dead letters again."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from aftersales.accounts import actors
from aftersales.common import errors
from aftersales.messaging import dead_letters
from aftersales.messaging.models import Outbox, WebhookEndpoint


class StateFilter(admin.SimpleListFilter):
    """Shows the dead letters unless asked for something else."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("dead", _("Given up")), ("pending", _("Waiting"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Outbox]) -> QuerySet[Outbox]:
        if self.value() == "pending":
            return queryset.filter(sent_at__isnull=True, dead_at__isnull=True)
        return queryset.filter(dead_at__isnull=False)


if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class ReadOnly(_ModelAdmin):
    """Rows that only code writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Outbox)
class OutboxAdmin(ReadOnly):
    """The dead letters, oldest first, and the button that sends them again."""

    list_display = ["id", "topic", "recipient", "attempts", "last_error", "created_at", "dead_at"]
    list_filter = [StateFilter]
    show_full_result_count = False
    ordering = ["dead_at", "id"]
    actions = ["replay"]

    @admin.action(description=_("Send again"))
    def replay(self, request: HttpRequest, queryset: QuerySet[Outbox]) -> None:
        by = actors.staff(request.user)  # type: ignore[arg-type]  # the admin lets in nobody else
        sent = 0
        for number in queryset.values_list("id", flat=True):
            try:
                row = dead_letters.replay(number, by=by)
            except errors.DomainError as error:
                self.message_user(request, str(error.detail), messages.ERROR)
                continue
            self.log_change(request, row, "replay")
            sent += 1
        text = ngettext("%d message will be sent again.", "%d messages will be sent again.", sent)
        self.message_user(request, text % sent)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly):
    """Who listens, and whether it was switched off."""

    list_display = ["public_id", "shop", "is_active", "disabled_reason", "created_at"]
    fields = ["public_id", "shop", "url", "events", "is_active", "disabled_reason", "created_at"]
