"""``manage.py rotate_personal_data``: see ``aftersales.customers.rotation``."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aftersales.accounts import resealing
from aftersales.customers import rotation

PATIENCE = 10
PAUSE = 0.5


class Command(BaseCommand):
    help = (
        "Encrypts all personal data anew with the first key of PERSONAL_DATA_KEYS and"
        " BLIND_INDEX_KEY. Put the new key in front, restart every process, run this, and only"
        " then remove the old key. It may be stopped and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=200, help="rows in one transaction")
        parser.add_argument(
            "--check", action="store_true", help="only count; fails while rows are left"
        )

    def handle(self, *args: Any, batch: int, check: bool, **options: Any) -> None:
        left = unreadable = 0
        for table in rotation.tables():
            if check:
                remaining = rotation.count_behind(table)
            else:
                done, wrong = self._rotate(table, batch)
                unreadable += len(wrong)
                remaining = rotation.count_behind(table) - len(wrong)
                self.stdout.write(f"{table.name}: {done} rewritten")
            if remaining:
                self.stdout.write(f"{table.name}: {remaining} left")
            left += remaining
        if not check:
            self.stdout.write(f"second factors: {resealing.reseal_secrets()} rewritten")
        left += resealing.count_behind()
        if unreadable:
            raise CommandError(f"{unreadable} rows cannot be read; the log names them.")
        if left:
            raise CommandError(f"{left} rows are left. Run the command again; keep the old key.")

    def _rotate(self, table: rotation.Table, batch: int) -> tuple[int, list[int]]:
        """Until nothing is left, or what is left stays locked by others for five seconds."""
        total, wrong, waited = 0, list[int](), 0
        while waited < PATIENCE:
            done, unreadable = rotation.rotate_batch(table, size=batch, skip=wrong)
            total += done
            wrong += unreadable
            if done or unreadable:
                waited = 0
            elif rotation.count_behind(table) <= len(wrong):
                break
            else:
                waited += 1
                time.sleep(PAUSE)
        return total, wrong
