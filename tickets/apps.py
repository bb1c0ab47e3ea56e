from django.apps import AppConfig


class TicketsConfig(AppConfig):
    name = "tickets"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from tickets import clocks, notifications
        from tickets.workflow import handling

        clocks.wait_lapsed.append(handling.end_lapsed_wait)
        notifications.register()
