"""The XML documents of S3 requests and responses."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING, TypeAlias

from ..exceptions import BucketNotFound, ServerError
from .errors import place_of

if TYPE_CHECKING:
    from .client import Client

Element: TypeAlias = ElementTree.Element
ParseError = ElementTree.ParseError

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")


def element(tag: str, *children: Element, text: str | None = None, **leaves: str) -> Element:
    """Return an element with these leaves, then these children."""
    made = ElementTree.Element(tag)
    made.text = text
    for name, value in leaves.items():
        made.append(element(name, text=value))
    made.extend(children)
    return made


def can_hold(text: str) -> bool:
    """Return whether XML can express the text: it excludes most control characters."""
    return not _IMPOSSIBLE.search(text)


def document(root: Element) -> bytes:
    """Return the element as the body of a request."""
    root.set("xmlns", _NAMESPACE)
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def send(client: Client, method: str, bucket: str, query: str, root: Element) -> bytes:
    """Send a document about the bucket and return the response body. ``ServerError`` if it is refused."""
    return send_body(client, method, bucket, query, document(root), "application/xml")


def send_body(client: Client, method: str, bucket: str, query: str, body: bytes, content_type: str) -> bytes:
    """Send a body about the bucket and return the response body. ``ServerError`` if it is refused."""
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    headers = {"Content-MD5": digest, "Content-Type": content_type}
    return client.call(method, bucket, query=query, headers=headers, body=body).data


def fetch(client: Client, bucket: str, query: str, name: str | None = None) -> Element:
    """Return a document about the bucket or an object in it; about the server if ``bucket`` is empty."""
    response = client.call("GET", bucket, name, query)
    return parsed(client, place_of(bucket, name), response.data)


def fetch_or_none(client: Client, bucket: str, query: str) -> Element | None:
    """Return a document about the bucket; None if it has none."""
    try:
        return fetch(client, bucket, query)
    except FileNotFoundError:
        return None
    except ServerError as error:
        if error.status != 404 or isinstance(error, BucketNotFound):
            raise
        return None


def parsed(client: Client, place: str, data: bytes) -> Element:
    """Return the parsed response about a bucket or an object. ``ServerError`` if it is not XML."""
    try:
        return parse(data)
    except ParseError as error:
        raise client.not_s3(place, f"its response cannot be parsed ({error})") from error


def parse(data: bytes) -> Element:
    """Return the root element without namespaces. ``ParseError`` if it is not XML."""
    root = ElementTree.fromstring(data)  # noqa: S314  the server is trusted with the data itself
    for part in root.iter():
        part.tag = part.tag.rpartition("}")[2]
    return root
