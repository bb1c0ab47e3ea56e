from django.urls import path

from aftersales.accounts.api import views

app_name = "accounts-api"
urlpatterns = [
    path("me/", views.MeView.as_view(), name="me"),
    path("staff/", views.StaffListView.as_view(), name="staff"),
    path("teams/", views.TeamListView.as_view(), name="teams"),
]
