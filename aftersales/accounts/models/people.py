"""Staff and providers, their roles, teams and skills."""

import uuid
from typing import Any, ClassVar

import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    AGENT = "agent", _("Agent")
    ENGINEER = "engineer", _("Engineer")
    WAREHOUSE = "warehouse", _("Warehouse clerk")
    FINANCE = "finance", _("Finance clerk")
    DEPARTMENT = "department", _("Department member")
    PROVIDER = "provider", _("Service provider")
    DEALER = "dealer", _("Dealer")
    INSPECTOR = "inspector", _("Quality inspector")
    SUPERVISOR = "supervisor", _("Supervisor")
    MANAGER = "manager", _("After-sales manager")
    ADMINISTRATOR = "administrator", _("Administrator")


class TeamKind(models.TextChoices):
    SERVICE = "service", _("Service team")
    DEPARTMENT = "department", _("Department")
    PROVIDER = "provider", _("Service provider")


class Language(models.TextChoices):
    CHINESE = "zh-hans", "中文"
    ENGLISH = "en", "English"


class TwoNames(models.Model):
    """A data row that people see: one name in each language of the portal."""

    code = models.SlugField(_("code"), max_length=40, unique=True)
    name_zh = models.CharField(_("Chinese name"), max_length=80)
    name_en = models.CharField(_("English name"), max_length=80)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_zh if (get_language() or "").startswith("zh") else self.name_en


class Team(TwoNames):
    """A group that cases belong to: a service team, an inside department or an outside provider.

    Exactly one team takes in the cases that nobody has a rule for.
    """

    kind = models.CharField(_("kind"), max_length=20, choices=TeamKind, default=TeamKind.SERVICE)
    is_intake = models.BooleanField(_("takes in cases that no rule places"), default=False)

    class Meta:
        verbose_name, verbose_name_plural = _("team"), _("teams")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=TeamKind.values), name="accounts_team_kind_known"
            ),
            models.UniqueConstraint(
                fields=["is_intake"],
                condition=models.Q(is_intake=True),
                name="accounts_team_one_intake",
                violation_error_message=_("Another team is the intake team already."),
            ),
        ]
        triggers = [
            # Deferred, so that the flag may move from one team to another in one transaction.
            pgtrigger.Trigger(
                name="intake_stays",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                operation=pgtrigger.Update | pgtrigger.Delete,
                timing=pgtrigger.Deferred,
                condition=pgtrigger.Q(old__is_intake=True),
                func=pgtrigger.Func(  # type: ignore[no-untyped-call]
                    "IF NOT EXISTS (SELECT 1 FROM {meta.db_table} WHERE is_intake) THEN"
                    " RAISE EXCEPTION 'one team must stay the intake team'"
                    " USING ERRCODE = 'check_violation'; END IF; RETURN NULL;"
                ),
            )
        ]


class Skill(TwoNames):
    """Something a member of staff was trained for, such as a product category."""

    class Meta:
        verbose_name, verbose_name_plural = _("skill"), _("skills")


class UserManager(DjangoUserManager["User"]):
    """Creates accounts in our terms: an administrator is a role, not a flag."""

    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> "User":
        """Sign-in ignores case, as people do."""
        return self.get(username__iexact=username)

    def create_user(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> "User":
        # Django's own would set the flags that are properties here.
        user = self.model(
            username=self.model.normalize_username(username),
            email=self.normalize_email(email),
            **extra_fields,
        )
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> "User":
        return self.create_user(
            username, email, password, roles=[Role.ADMINISTRATOR], **extra_fields
        )


class User(AbstractUser):
    """A member of staff, of a provider or a dealer. Customers have no account row.

    Rights come from ``roles`` alone; Django's groups, permissions and flags are not used.
    """

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    groups = None  # type: ignore[assignment]
    user_permissions = None  # type: ignore[assignment]

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    staff_number = models.CharField(_("staff number"), max_length=20, unique=True)
    display_name = models.CharField(_("name"), max_length=80)
    roles = ArrayField(
        models.CharField(max_length=20, choices=Role),
        default=list,
        blank=True,
        verbose_name=_("roles"),
    )
    team = models.ForeignKey(
        Team,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="members",
        verbose_name=_("team"),
    )
    skills = models.ManyToManyField(
        Skill, blank=True, related_name="holders", verbose_name=_("skills")
    )
    language = models.CharField(
        _("language"), max_length=10, choices=Language, default=Language.CHINESE
    )
    is_present = models.BooleanField(_("present"), default=True)

    objects: ClassVar[UserManager] = UserManager()

    REQUIRED_FIELDS = ["email", "staff_number", "display_name"]

    class Meta:
        verbose_name, verbose_name_plural = _("account"), _("accounts")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(roles__contained_by=Role.values),
                name="accounts_user_roles_known",
            ),
            models.CheckConstraint(
                condition=models.Q(language__in=Language.values),
                name="accounts_user_language_known",
            ),
            # Sign-in ignores case, so two names that differ in case only would be one door.
            models.UniqueConstraint(Upper("username"), name="accounts_user_username_once"),
            models.UniqueConstraint(Upper("staff_number"), name="accounts_user_staff_number_once"),
            # A reset mail to a shared address would open the other account.
            models.UniqueConstraint(
                Upper("email"),
                condition=~models.Q(email=""),
                name="accounts_user_email_once",
                violation_error_message=_("Another account uses this e-mail address."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.display_name} ({self.staff_number})"

    @property
    def is_staff(self) -> bool:  # type: ignore[override]
        """May open Django's admin."""
        return self.has_role(Role.ADMINISTRATOR)

    @property
    def is_superuser(self) -> bool:  # type: ignore[override]
        """Inside Django's admin there is one level only; masks hold there as everywhere."""
        return self.has_role(Role.ADMINISTRATOR)

    def has_role(self, *roles: str) -> bool:
        """Holds at least one of ``roles``; asks the row in hand, never the database."""
        return any(role in self.roles for role in roles)

    def get_full_name(self) -> str:
        return self.display_name

    def get_short_name(self) -> str:
        return self.display_name
