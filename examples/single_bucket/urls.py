from django.urls import path
from django.views.generic import CreateView
from uploads.models import Upload

upload = CreateView.as_view(
    model=Upload, fields=["file"], success_url="/", extra_context={"uploads": Upload.objects.all}
)

urlpatterns = [path("", upload)]
