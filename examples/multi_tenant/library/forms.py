from django import forms

from django_minio_router.direct.forms import DirectFileField, DirectImageField, DirectUploadForm

from .models import Document, Photo


class DocumentForm(DirectUploadForm, forms.ModelForm):
    prefix = "document"

    class Meta:
        model = Document
        fields = ["title", "file"]
        field_classes = {"file": DirectFileField}


class PhotoForm(DirectUploadForm, forms.ModelForm):
    prefix = "photo"

    class Meta:
        model = Photo
        fields = ["title", "file"]
        field_classes = {"file": DirectImageField}
