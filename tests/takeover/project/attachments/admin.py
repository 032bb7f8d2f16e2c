from django.contrib import admin

from attachments.models import Attachment

admin.site.register(Attachment)
