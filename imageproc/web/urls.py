"""The addresses of the pages."""

from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

from imageproc.web import keys, mappings, requests, uploads
from imageproc.web.forms import SignInForm

app_name = "web"
one = "requests/<uuid:request_id>/"

urlpatterns = [
    path("", uploads.home, name="home"),
    path("inspect/", uploads.inspect, name="inspect"),
    path("inspect/errors.csv", uploads.errors_csv, name="errors-csv"),
    path("sample/", uploads.try_sample, name="sample"),
    path("sample.csv", uploads.sample_csv, name="sample-csv"),
    path("requests/", requests.index, name="requests"),
    path(one, requests.detail, name="request"),
    path(f"{one}progress/", requests.progress, name="progress"),
    path(f"{one}outcome/", requests.outcome, name="outcome"),
    path(f"{one}failures/<str:code>/", requests.failed, name="failed"),
    path(f"{one}pictures/", requests.gallery, name="gallery"),
    path(f"{one}pictures/<uuid:image_id>/", requests.picture, name="picture"),
    path(f"{one}retry/", requests.retry, name="retry"),
    path(f"{one}webhook/", requests.webhook, name="webhook"),
    path(f"{one}webhook/<uuid:delivery_id>/", requests.redeliver, name="redeliver"),
    path(f"{one}continue/", requests.continue_, name="continue"),
    path(f"{one}cancel/", requests.cancel, name="cancel"),
    path(f"{one}delete/", requests.delete, name="delete"),
    path("columns/", mappings.mappings, name="mappings"),
    path("columns/<int:mapping_id>/", mappings.mapping, name="mapping"),
    path("columns/<int:mapping_id>/delete/", mappings.delete, name="delete-mapping"),
    path("keys/", keys.keys, name="keys"),
    path("keys/<int:key_id>/revoke/", keys.revoke, name="revoke"),
    path("keys/webhook-secret/replace/", keys.replace_secret, name="replace-secret"),
    path("keys/webhook-secret/", keys.webhook_secret, name="webhook-secret"),
    path(
        "sign-in/",
        auth.LoginView.as_view(
            template_name="web/sign_in.html",
            authentication_form=SignInForm,
            redirect_authenticated_user=True,
        ),
        name="sign-in",
    ),
    path(
        "password/",
        auth.PasswordChangeView.as_view(
            template_name="web/password.html", success_url=reverse_lazy("web:password-changed")
        ),
        name="password",
    ),
    path("password/changed/", keys.password_changed, name="password-changed"),
    path("sign-out/", auth.LogoutView.as_view(), name="sign-out"),
]
