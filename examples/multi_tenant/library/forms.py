from django import forms

from .models import Document, Photo


class DocumentForm(forms.ModelForm):
    prefix = "document"

    class Meta:
        model = Document
        fields = ["title", "file"]
        widgets = {"file": forms.FileInput}


class PhotoForm(forms.ModelForm):
    prefix = "photo"

    class Meta:
        model = Photo
        fields = ["title", "file"]
        widgets = {"file": forms.FileInput}
