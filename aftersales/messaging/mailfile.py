"""Mails as files, for the demo: in a folder that only this user may enter."""

import os
from typing import Any

from django.conf import settings
from django.core.mail.backends import filebased


class EmailBackend(filebased.EmailBackend):
    """Django's own, which would let everybody on the machine read the mails."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        os.makedirs(kwargs.get("file_path") or settings.EMAIL_FILE_PATH, mode=0o700, exist_ok=True)
        super().__init__(*args, **kwargs)
