"""gunicorn's configuration (``--config python:aftersales.webserver``), the same everywhere."""

import os

from aftersales.common import logs

worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = 4
graceful_timeout = 10
# It would write into the home folder, and a second server would silently take it over.
control_socket_disable = True
logs.configure_structlog()
logconfig_dict = logs.configuration(os.environ.get("LOG_LEVEL", "INFO"))
