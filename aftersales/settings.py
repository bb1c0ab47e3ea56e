"""Every value comes from the environment; a missing or senseless one stops the start.

On a developer's machine the launcher (``aftersales.local``) writes the environment to
``.local/env``; a variable that is set already wins over that file.
"""

import base64
import binascii
import logging
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from aftersales.common import logs

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
if (BASE_DIR / ".local" / "env").is_file():
    env.read_env(BASE_DIR / ".local" / "env")


def keyring(name: str) -> dict[str, bytes]:
    """Keys as ``id:base64,id:base64`` of 32 bytes each; the first one is used for new values."""
    keys: dict[str, bytes] = {}
    for part in env.str(name).split(","):
        key_id, _, encoded = part.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ImproperlyConfigured(f"{name}: key {key_id!r} is not base64.") from error
        if not (key_id.isascii() and key_id.isalnum()) or len(key_id) > 8 or len(key) != 32:
            raise ImproperlyConfigured(
                f"{name}: write id:base64, an id of 1 to 8 letters or digits and 32 bytes of key."
            )
        keys[key_id] = key
    return keys


# --- the process -------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])
# Links in mails are built from this address, never from the Host header of a request.
BASE_URL = env.str("BASE_URL", default="http://localhost:8000").rstrip("/")
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
SECURE = BASE_URL.startswith("https://")

ROOT_URLCONF = "aftersales.urls"
WSGI_APPLICATION = "aftersales.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_htmx",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "rest_framework",
    "rest_framework_api_key",
    "template_partials",
    "aftersales.accounts",
    "aftersales.customers",
    "aftersales.messaging",
    "tickets",
    "returns",
    "surveys",
    "reports",
    "aftersales.setup",
    "aftersales.health",
]

MIDDLEWARE = [
    "aftersales.common.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "aftersales.common.middleware.refuse_unstorable_text",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "aftersales.accounts.middleware.staff_pages",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {"form_fields": "aftersales.common.form_fields"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ],
        },
    },
]

# --- state: PostgreSQL and files; Redis may be lost at any moment --------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# A database host that is gone must not hang every request, and the readiness check with them.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)

REDIS_URL = env.str("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        # Only throttles use it, and they would rather do without than wait.
        "OPTIONS": {
            "socket_connect_timeout": 0.25,
            "socket_timeout": 0.25,
            "retry": Retry(NoBackoff(), 0),
        },
    }
}
# A unix socket is written unix:///path for redis-py and redis+socket:///path for Celery.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)

# The sweep's own thread in the sla worker; off only to prove that beat alone suffices.
SLA_TICKER = env.bool("SLA_TICKER", default=True)

SESSION_ENGINE = "django.contrib.sessions.backends.db"
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(BASE_DIR / ".local" / "media")))
MEDIA_URL = "media/"
FILE_UPLOAD_PERMISSIONS = 0o640
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o750

# --- personal data --------------------------------------------------------------------------------

PERSONAL_DATA_KEYS = keyring("PERSONAL_DATA_KEYS")
BLIND_INDEX_KEY = keyring("BLIND_INDEX_KEY")
LINK_KEYS = keyring("LINK_KEYS")

# --- people ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "accounts:home"
PASSWORD_RESET_TIMEOUT = 3600
SESSION_COOKIE_AGE = 12 * 3600

# allauth is for staff and providers. Its limits live in the cache, ours in rows (accounts.limits).
ACCOUNT_ADAPTER = "aftersales.accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_RATE_LIMITS = False
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105 - a path
MFA_ADAPTER = "aftersales.accounts.adapters.MFAAdapter"
MFA_RATE_LIMITS = False
MFA_TOTP_TOLERANCE = 1

# --- language and time ----------------------------------------------------------------------------

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
# The firm's own zone: the day in a case number, and times shown to readers without a zone.
TIME_ZONE = env.str("TIME_ZONE", default="Asia/Shanghai")

# Who may read /metrics: a token, or with none set, only a private address that no proxy spoke for.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# --- files for the browser ------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = env.bool("STATIC_FROM_SOURCE", default=False)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- the browser's guards -------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
if SECURE:
    # The prefix makes browsers refuse a cookie that a neighbouring host tries to set.
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_FAILURE_VIEW = "aftersales.common.errorpages.csrf_failure"
CSRF_TRUSTED_ORIGINS = [BASE_URL]
if SECURE:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]  # asked from inside, without the proxy
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
X_FRAME_OPTIONS = "DENY"

# --- mail, SMS ------------------------------------------------------------------------------------

# smtp+tls://user:password@host:587 (STARTTLS), smtp+ssl://host:465, smtp://host:25 or
# filemail:////folder (four strokes: the folder's path is absolute).
_MAIL = env.email_url("EMAIL_URL", default=f"filemail:///{BASE_DIR}/.local/mail")
if env.str("EMAIL_URL", default="").startswith("smtps:"):
    # django-environ reads it as STARTTLS, the rest of the world as TLS from the first byte.
    raise ImproperlyConfigured("EMAIL_URL: write smtp+tls:// (STARTTLS) or smtp+ssl:// (TLS).")
vars().update(_MAIL)
EMAIL_FILE_PATH: str = _MAIL["EMAIL_FILE_PATH"]
if _MAIL["EMAIL_BACKEND"].endswith("filebased.EmailBackend"):
    EMAIL_BACKEND = "aftersales.messaging.mailfile.EmailBackend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="service@example.com")
SMS_ADAPTER = env.str("SMS_ADAPTER", default="aftersales.messaging.sms.FileAdapter")
SMS_DIRECTORY = Path(env.str("SMS_DIRECTORY", default=str(BASE_DIR / ".local" / "sms")))
# For tests and development only: webhooks may go to plain http and to our own network.
WEBHOOKS_TO_PRIVATE_ADDRESSES = env.bool("WEBHOOKS_TO_PRIVATE_ADDRESSES", default=False)

# --- REST -----------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["aftersales.common.api.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["aftersales.accounts.authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "aftersales.accounts.permissions.KeyMayCall",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["aftersales.common.api.throttling.ClientThrottle"],
    "DEFAULT_PAGINATION_CLASS": "aftersales.common.api.pagination.KeysetPagination",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "aftersales.common.api.schema.Schema",
    "EXCEPTION_HANDLER": "aftersales.common.api.problems.handle",
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": TRUSTED_PROXIES,
}
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=1200)
API_ANONYMOUS_PER_MINUTE = env.int("API_ANONYMOUS_PER_MINUTE", default=60)
# One megabyte of form fields or JSON; files are counted apart.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
DATA_UPLOAD_MAX_NUMBER_FILES = 20
SPECTACULAR_SETTINGS = {
    "TITLE": "After-sales portal",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/img/mark.svg",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "TicketKind": "tickets.states.Kind",
        "ReportedKind": "tickets.states.REPORTED_KINDS",
        "MessageKind": "tickets.models.event.Message.Kind",
        "TicketStatus": "tickets.states.Status",
        "Level": "tickets.states.Level",
    },
    "OAS_VERSION": "3.1.0",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "aftersales.common.api.schema.add_problems",
    ],
}

# --- logs: one JSON object a line, never a request body or a name ---------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = logs.configuration(LOG_LEVEL)
logs.configure_structlog()
DJANGO_STRUCTLOG_USER_ID_FIELD = ""  # who did what stands in the events
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_CELERY_DEFAULT_LOG_LEVEL = logging.DEBUG
