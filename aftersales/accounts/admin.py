"""Administrators' pages for accounts, teams, shops, clients and keys. Changes go by workflow."""

from typing import Any, cast

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.models import APIKey

from aftersales.accounts import actors, workflow
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import (
    AccountEvent,
    ApiClient,
    ApiKey,
    Role,
    RoleRequirement,
    Scope,
    Shop,
    Skill,
    Team,
    User,
)
from aftersales.common import errors

# One door for signing in, with its limits and the second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = _("Administration")

# Libraries' own pages would go around workflow, show a second factor's secret, or do nothing.
for model in (EmailAddress, Authenticator, APIKey, Group):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


def _actor(request: HttpRequest) -> Actor:
    return actors.staff(cast(User, request.user))


class Kept:
    """Rows that are switched off, never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    roles = forms.MultipleChoiceField(
        choices=Role.choices, required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = User
        fields = (
            "username",
            "staff_number",
            "display_name",
            "email",
            "team",
            "skills",
            "language",
            "is_present",
            "is_active",
            "roles",
        )


@admin.register(User)
class UserAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    form = UserForm
    list_display = ("staff_number", "display_name", "username", "team", "is_active")
    list_filter = ("is_active", "team")
    search_fields = ("staff_number", "display_name", "username")
    filter_horizontal = ("skills",)
    actions = ("reset_second_factor",)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        own = obj is not None and obj.pk == request.user.pk
        return ("roles", "is_active") if own else ()

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        by = _actor(request)
        try:
            if not change:
                plain = {name: form.cleaned_data[name] for name in UserForm.Meta.fields}
                obj.pk = workflow.create_user(by=by, **plain).pk
                obj._state.adding = False
                return
            plain_changes = set(form.changed_data) - {"roles", "is_active", "skills"}
            if plain_changes:
                obj.save(update_fields=sorted(plain_changes))
            if "roles" in form.changed_data:
                workflow.set_roles(obj.pk, form.cleaned_data["roles"], by=by)
            if "is_active" in form.changed_data:
                workflow.set_active(obj.pk, form.cleaned_data["is_active"], by=by)
        except errors.NotAllowed as error:
            raise PermissionDenied from error

    @admin.action(description=_("Remove the second factor (lost phone)"))
    def reset_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset.order_by("pk"):
            try:
                workflow.reset_second_factor(user.pk, by=_actor(request))
            except errors.NotAllowed as error:
                messages.error(request, f"{user}: {error.detail}")


@admin.register(RoleRequirement)
class RoleRequirementAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("role", "second_factor")


@admin.register(Team)
class TeamAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("code", "name_zh", "name_en", "kind", "is_intake")
    readonly_fields = ("is_intake",)
    actions = ("choose_intake_team",)

    @admin.action(description=_("Take in the cases that no rule places"))
    def choose_intake_team(self, request: HttpRequest, queryset: QuerySet[Team]) -> None:
        chosen = queryset.order_by("pk").first()
        if chosen is not None and queryset.count() == 1:
            workflow.choose_intake_team(chosen.pk, by=_actor(request))
        else:
            messages.error(request, _("Choose one team."))


@admin.register(Skill)
class SkillAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("code", "name_zh", "name_en")


@admin.register(Shop)
class ShopAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("code", "name", "is_active")


class ClientForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = ApiClient
        fields = ("kind", "name", "shop", "user", "scopes", "is_active")


@admin.register(ApiClient)
class ApiClientAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    form = ClientForm
    list_display = ("name", "kind", "shop", "user", "is_active")
    list_select_related = ("shop", "user")

    def get_readonly_fields(
        self, request: HttpRequest, obj: ApiClient | None = None
    ) -> tuple[str, ...]:
        # A client that changed hands would take its keys and its stored answers along.
        return ("kind", "shop", "user") if obj else ()


@admin.register(ApiKey)
class ApiKeyAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("prefix", "name", "client", "created", "expiry_date", "revoked", "last_used_at")
    list_filter = ("revoked",)
    list_select_related = ("client",)
    actions = ("revoke",)
    fields = ("client", "name", "expiry_date")

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        # The list is shown, a key itself is never edited: its name and end were promised to others.
        return obj is None

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        row, secret = workflow.issue_key(
            form.cleaned_data["client"].pk,
            name=form.cleaned_data["name"],
            expires_at=form.cleaned_data["expiry_date"],
            by=_actor(request),
        )
        obj.pk = row.pk
        request.issued_key = secret  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The secret is on this page only: not in a message, which a cookie would carry."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("New key"),
            "secret": request.issued_key,  # type: ignore[attr-defined]
            "key": obj,
        }
        return TemplateResponse(request, "admin/accounts/apikey/issued.html", context)

    @admin.action(description=_("Revoke for good"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            workflow.revoke_key(key.pk, by=_actor(request))


@admin.register(AccountEvent)
class AccountEventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("created_at", "event", "user", "client", "actor", "params")
    list_select_related = ("user", "client")
    list_filter = ("event",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AccountEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AccountEvent | None = None) -> bool:
        return False
