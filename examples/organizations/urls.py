from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from .orgs.views import Documents

urlpatterns = [
    path("", Documents.as_view(), name="documents"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
