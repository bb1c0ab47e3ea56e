from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aftersales.common import errors
from aftersales.setup import demo


class Command(BaseCommand):
    help = "Load the demo's people, goods and cases once; write the ways in to a file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--file", type=Path, default=Path(settings.BASE_DIR) / ".local" / "demo.json"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = demo.load(options["file"])
        except errors.Conflict as conflict:
            raise CommandError(str(conflict.detail)) from conflict
        if loaded.is_new:
            self.stdout.write(f"{loaded.cases} cases of the last three weeks are there.")
        else:
            self.stdout.write("The demo data are there already.")
        for story in loaded.ended_early:
            self.stdout.write(f"Story {story}")
        self.stdout.write(f"The ways in are in {options['file']}")
