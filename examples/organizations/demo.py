"""Two organizations in one SQLite database, their files in two buckets, and who can read them; then the site.

`python3 dev.py demo --example organizations` starts the S3 server that this needs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
from html import unescape

import django
import urllib3

from examples.multi_tenant.account import Account
from examples.multi_tenant.demo import site


def main() -> int | str:
    """Return the exit code, or a message about a failed step."""
    parser = argparse.ArgumentParser(prog="demo", description="Two organizations, two buckets, one site.")
    parser.add_argument("--once", action="store_true", help="stop after the account")
    parser.add_argument("--port", type=int, metavar="N", help="of the site")
    parser.add_argument("--database", metavar="PATH", help="of SQLite (default: db.sqlite3 beside this)")
    options = parser.parse_args()
    if options.database:
        os.environ["SITE_DATABASE"] = options.database
    if not os.environ.get("MINIO_ENDPOINT"):
        return "MINIO_ENDPOINT: not set. 'python3 dev.py demo --example organizations' starts a server."
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # to be read through a pipe
    os.environ["DJANGO_SETTINGS_MODULE"] = "examples.organizations.settings"
    django.setup()
    with site(options.port) as port:
        account = Account()
        tell(account)
        if account.failed:
            return "\n  ".join([f"\n{len(account.failed)} checks did not hold:", *account.failed])
        print(f"\nAll {account.held} checks held.")
        return 0 if options.once else wait(port)


def tell(account: Account) -> None:
    from django.core.management import call_command

    from .samples import SAMPLES, make

    account.heading("Organizations: rows of one table, in one SQLite database")
    call_command("migrate", verbosity=0)
    for sample in SAMPLES:
        print(f"  {sample.name:<14} {'new' if make(sample) else 'there already'}")
    call_command("initialize_buckets", "--all-tenants")
    visits(account)
    rows(account)
    nobody(account)


def visits(account: Account) -> None:
    from .samples import SAMPLES

    account.heading("The site: each login sees the files of its organization")
    for sample in SAMPLES:
        account.subject(f"{sample.user}, of {sample.name}")
        link = link_for(sample.user)
        account.check("the link leads to", bucket_in(link), sample.bucket)
        account.check("behind it is", get(link), (200, sample.content))
        account.check("without its signature", get(link.partition("?")[0])[0], 403)


def rows(account: Account) -> None:
    from .orgs.models import Document
    from .samples import SAMPLES

    account.heading("One query for all: each row's file comes from the bucket of its owner")
    documents = Document.objects.select_related("organization").order_by("-pk")
    first = {document.organization.slug: document.file.read() for document in documents}
    for sample in SAMPLES:
        account.check(sample.name, first[sample.slug], sample.content)


def nobody(account: Account) -> None:
    from django.test import Client

    from django_minio_router import TenantRequired

    from .orgs.models import Document

    account.heading("Nobody is logged in")
    account.check("the page", Client().get("/").headers.get("Location"), "/login/?next=/")
    try:
        found = str(Document._meta.get_field("file").storage.listdir(""))
    except TenantRequired as error:
        found = type(error).__name__
    account.check("a list of files without an organization", found, "TenantRequired")


def link_for(username: str) -> str:
    """Return the first link to a file on the page after login."""
    from django.test import Client

    from .samples import PASSWORD

    browser = Client()
    browser.post("/login/", {"username": username, "password": PASSWORD})
    page = browser.get("/").content.decode()
    (link, *_) = re.findall(r'href="(http[^"]+)"', page)
    return unescape(link)


def bucket_in(link: str) -> str:
    return urllib3.util.parse_url(link).path.split("/")[1]


def get(link: str) -> tuple[int, bytes]:
    answer = urllib3.request("GET", link, retries=False)
    return answer.status, answer.data


def wait(port: int) -> int:
    """Keep the site running until Ctrl-C."""
    from .samples import PASSWORD, SAMPLES

    try:
        print(f"\nThe site: http://localhost:{port}/")
        for sample in SAMPLES:
            print(f"  {sample.name:<14} log in as {sample.user!r} with {PASSWORD!r}")
        print("Ctrl-C stops it.")
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
