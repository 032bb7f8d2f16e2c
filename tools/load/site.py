"""What gunicorn serves: the demo's site, whose workers are forked from a process with open connections."""

from django.core.wsgi import get_wsgi_application
from django.db import connections

application = get_wsgi_application()


def open_connections() -> None:
    from examples.multi_tenant.customers.models import Client

    for client in Client.objects.exclude(logo=""):
        client.logo.storage.size(client.logo.name)
    connections.close_all()  # those to the database must not be shared with a child


open_connections()
