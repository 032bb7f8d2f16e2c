"""Form fields for direct upload, their widget, and a form mixin that binds the request to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import FileField
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy

from ..exceptions import ConfigurationError
from ..storage.uploaded import UploadedObject
from .tokens import Receipt, Ticket, make_ticket, model_field
from .uploads import check_accepted, check_size, claim, read_receipt

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["DirectFileField", "DirectFileInput", "DirectImageField", "DirectUploadForm"]


class DirectFileInput(forms.ClearableFileInput):
    """A file input that uploads with this app's script; without the script, it is a plain file input."""

    class Media:
        js = ("django_minio_router/direct.js",)

    direct: Callable[[], dict[str, Any] | None] | None = None
    """Returns the options for the script, or None if the user may not upload directly. Set by the field."""
    receipt_of: Callable[[str], Receipt | None] | None = None

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, None if _is_receipt(value) else value, attrs)
        if self.direct is None:
            raise ConfigurationError(
                f"The field {name!r} is for direct upload, but has no request. Derive the form from "
                "DirectUploadForm, and create it with request=request."
            )
        options = self.direct()
        if options is not None:
            kept = self.receipt_of(value) if _is_receipt(value) and self.receipt_of is not None else None
            if kept is not None:
                options |= {"receipt": value, "name": kept.name}
            context["widget"]["attrs"]["data-minio-router"] = json.dumps(options, cls=DjangoJSONEncoder)
        return context

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """Add the receipt of an uploaded file when the form is shown again: it need not be uploaded twice."""
        shown = super().render(name, value, attrs, renderer)
        if not _is_receipt(value):
            return shown
        kept = format_html('<input type="hidden" name="{}" value="{}">', name, value)
        return mark_safe(shown + kept)  # noqa: S308  both are safe already

    def use_required_attribute(self, initial: Any) -> bool:
        """Return False: a receipt is enough for the browser, and the field checks that there is one."""
        return False

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the file in the request, else the receipt of an uploaded file."""
        found = super().value_from_datadict(data, files, name)
        receipt = data.get(name)
        return receipt if not found and _is_receipt(receipt) else found

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return super().value_omitted_from_data(data, files, name) and name not in data


def _is_receipt(value: object) -> bool:
    return isinstance(value, str) and value != ""


class DirectFileField(forms.FileField):
    """Accept a file that the browser uploaded directly, or an ordinary upload.

    ``field`` is the model field, or its label such as ``"docs.Contract.file"``; a model form sets it.
    ``max_size`` is in bytes, ``accept`` lists extensions and types as in HTML.
    """

    widget = DirectFileInput

    def __init__(
        self,
        *args: Any,
        field: FileField | str | None = None,
        max_size: int | None = None,
        accept: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        self.model_field = model_field(field) if isinstance(field, str) else field
        self.max_size = max_size
        self.accept = list(accept)
        self.request: HttpRequest | None = None
        super().__init__(*args, **kwargs)

    def bind(self, request: HttpRequest, field: FileField | None = None) -> None:
        """Tell the field for whom it is; ``field`` if it was given no model field."""
        self.request = request
        self.model_field = self.model_field or field
        widget = cast("DirectFileInput", self.widget)
        widget.direct, widget.receipt_of = self._script_options, self._receipt

    def _script_options(self) -> dict[str, Any] | None:
        ticket = self._ticket()
        if ticket is None:
            return None
        url = reverse("minio_router_direct:upload")
        return {"ticket": str(ticket), "url": url, "keep": ticket.keep(), "text": _TEXTS}

    def ticket(self) -> str | None:
        """Return a ticket for this field; None if the user may not upload."""
        ticket = self._ticket()
        return None if ticket is None else str(ticket)

    def _ticket(self) -> Ticket | None:
        request, field = self._bound()
        return make_ticket(request, field, max_size=self.max_size, accept=self.accept)

    def _receipt(self, token: str) -> Receipt | None:
        try:
            return read_receipt(token, *self._bound())
        except ValidationError:
            return None

    def _bound(self) -> tuple[HttpRequest, FileField]:
        if self.request is None or self.model_field is None:
            raise ConfigurationError(
                "A DirectFileField has no request or no model field. Derive the form from DirectUploadForm, "
                "create it with request=request, and outside of model forms set field='app.Model.file'."
            )
        return self.request, self.model_field

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        attrs: dict[str, Any] = super().widget_attrs(widget)
        return {**attrs, "accept": ",".join(self.accept)} if self.accept else attrs

    # Django calls the first parameter "_".
    def bound_data(self, data: Any, initial: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Show a form again with the receipt that it was sent with."""
        return data if _is_receipt(data) else super().bound_data(data, initial)

    def clean(self, data: Any, initial: Any = None) -> Any:
        if _is_receipt(data):
            data = claim(read_receipt(data, *self._bound()))
        return super().clean(data, initial)

    def to_python(self, data: Any) -> Any:
        """Apply the same limits to a file in the request."""
        file = super().to_python(data)
        if isinstance(file, UploadedFile):
            if self.max_size is not None:
                check_size(file.size or 0, self.max_size)
            check_accepted(file.name or "", file.content_type or "", self.accept)
        return file


class DirectImageField(DirectFileField, forms.ImageField):  # pyright: ignore[reportIncompatibleMethodOverride]
    """The same for an image, which Pillow verifies with range requests."""

    def __init__(self, *args: Any, accept: Iterable[str] = ("image/*",), **kwargs: Any) -> None:
        super().__init__(*args, accept=accept, **kwargs)

    def to_python(self, data: Any) -> Any:
        if not isinstance(data, UploadedObject):
            return super().to_python(data)
        file: Any = forms.FileField.to_python(self, data)
        from PIL import Image

        try:
            image = Image.open(file)
            image.verify()
        except Exception as error:  # Pillow may raise anything, see Django's ImageField
            raise ValidationError(self.error_messages["invalid_image"], code="invalid_image") from error
        file.image, file.content_type = image, Image.MIME.get(image.format or "")
        file.open()
        check_size(file.size, self.max_size or file.size)
        return file


class DirectUploadForm:
    """A mixin for forms with fields for direct upload.

    Pass the request: ``DocumentForm(request.POST, request.FILES, request=request)``.
    """

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bind_fields(self.fields, request, getattr(getattr(self, "_meta", None), "model", None))


def bind_fields(fields: dict[str, forms.Field], request: HttpRequest, model: Any) -> None:
    """Bind the request and the model field of the same name to each field for direct upload."""
    known = {} if model is None else {field.name: field for field in model._meta.get_fields()}
    for name, field in fields.items():
        if isinstance(field, DirectFileField):
            found = known.get(name)
            field.bind(request, found if isinstance(found, FileField) else None)


_TEXTS = {
    "uploading": gettext_lazy("Uploading {name}: {percent} %"),
    "progress": gettext_lazy("Upload"),
    "done": gettext_lazy("{name} is uploaded."),
    "failed": gettext_lazy("{name} was not uploaded: {error}"),
    "stopped": gettext_lazy("The upload of {name} was cancelled."),
    "network": gettext_lazy("the connection was lost"),
    "cancel": gettext_lazy("Cancel"),
    "retry": gettext_lazy("Try again"),
    "remove": gettext_lazy("Remove"),
    "waiting": gettext_lazy("The form is sent as soon as the upload is done."),
    "drop": gettext_lazy("Choose a file, or drop one here"),
}
