from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "aftersales.messaging"
    verbose_name = _("Messages")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from aftersales.messaging import codes, mail, sms, topics

        topics.register("mail", deliver=mail.deliver, session=mail.session)
        topics.register("sms", deliver=sms.deliver)
        topics.register_template(codes.TEMPLATE, context=codes.context)
        topics.register_notice("personal_data.break_glass", "messaging/notices/break_glass.txt")
        topics.register_notice("personal_data.too_many", "messaging/notices/too_many.txt")
        topics.register_notice("messaging.dead_letter", "messaging/notices/dead_letter.txt")
        topics.register_notice(
            "messaging.endpoint_disabled", "messaging/notices/endpoint_disabled.txt"
        )
