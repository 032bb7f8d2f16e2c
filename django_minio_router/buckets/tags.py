"""The tags of a bucket."""

from __future__ import annotations

from collections.abc import Mapping

from ..s3.client import Client
from ..s3.xml import element, fetch_or_none, send


def read_tags(client: Client, bucket: str) -> dict[str, str]:
    found = fetch_or_none(client, bucket, "tagging=")
    if found is None:
        return {}
    return {tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in found.iter("Tag")}


def write_tags(client: Client, bucket: str, tags: Mapping[str, str]) -> None:
    """Replace the tags of the bucket."""
    found = [element("Tag", Key=key, Value=value) for key, value in tags.items()]
    send(client, "PUT", bucket, "tagging=", element("Tagging", element("TagSet", *found)))
