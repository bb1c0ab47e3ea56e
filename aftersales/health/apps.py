from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "aftersales.health"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aftersales.health import receivers

        receivers.connect()
