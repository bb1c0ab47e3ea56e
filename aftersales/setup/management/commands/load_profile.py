from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aftersales.common import dbtime
from aftersales.setup import profile
from tickets.models import PolicyVersion


class Command(BaseCommand):
    help = "Publish a profile's policies and calendar, unless it is in force already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=profile.names())
        parser.add_argument(
            "--again", action="store_true", help="publish it anew as the next version"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = dbtime.database_now()
        current = PolicyVersion.objects.filter(in_force__contains=now).first()
        if current is not None and not options["again"]:
            if current.profile == options["name"]:
                self.stdout.write(f"{current} is in force already.")
                return
            raise CommandError(f"{current} is in force; add --again to replace it.")
        version = profile.load(options["name"], now=now)
        self.stdout.write(f"{version} is in force from now on.")
