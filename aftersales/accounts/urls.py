"""Pages of the account, under the names that allauth looks for; sign-up has no address at all."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from django.urls import include, path, re_path

from aftersales.accounts import views

own = (
    [
        path("", views.home, name="home"),
        path("language/", views.set_language, name="language"),
    ],
    "accounts",
)

urlpatterns = [
    path("", include(own)),
    path("account/login/", views.SignInView.as_view(), name="account_login"),
    path("account/logout/", account.logout, name="account_logout"),
    path(
        "account/reauthenticate/", views.ReauthenticateView.as_view(), name="account_reauthenticate"
    ),
    path("account/password/", views.PasswordChangeView.as_view(), name="account_change_password"),
    path(
        "account/password/reset/", views.PasswordResetView.as_view(), name="account_reset_password"
    ),
    path(
        "account/password/reset/sent/",
        account.password_reset_done,
        name="account_reset_password_done",
    ),
    re_path(
        r"^account/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.PasswordResetFromKeyView.as_view(),
        name="account_reset_password_from_key",
    ),
    path(
        "account/password/reset/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("account/second-factor/", mfa.index, name="mfa_index"),
    path("account/second-factor/code/", views.CodeView.as_view(), name="mfa_authenticate"),
    path(
        "account/second-factor/confirm/",
        views.ReauthenticateCodeView.as_view(),
        name="mfa_reauthenticate",
    ),
    path(
        "account/second-factor/activate/",
        views.TotpActivateView.as_view(),
        name="mfa_activate_totp",
    ),
    path(
        "account/second-factor/deactivate/",
        views.TotpDeactivateView.as_view(),
        name="mfa_deactivate_totp",
    ),
    path(
        "account/second-factor/recovery-codes/",
        recovery.view_recovery_codes,
        name="mfa_view_recovery_codes",
    ),
    path(
        "account/second-factor/recovery-codes/generate/",
        views.RecoveryCodesNewView.as_view(),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "account/second-factor/recovery-codes/download/",
        recovery.download_recovery_codes,
        name="mfa_download_recovery_codes",
    ),
]
