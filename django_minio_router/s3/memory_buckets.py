"""The bucket requests of a server in memory."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from .memory_state import (
    Answer,
    BucketInMemory,
    Buckets,
    Request,
    S3Error,
    Stored,
    get_bucket,
    iso,
    not_implemented,
    now,
    xml_answer,
)
from .xml import Element, element, parse

_MISSING = {  # the subresources of a bucket, stored as sent, each with its error code if there is none
    "policy": "NoSuchBucketPolicy",
    "cors": "NoSuchCORSConfiguration",
    "encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "tagging": "NoSuchTagSet",
    "versioning": "",  # never missing, but versions are not kept
}


def list_buckets(buckets: Buckets) -> Answer:
    found = [element("Bucket", Name=name, CreationDate=iso(now())) for name in sorted(buckets)]
    return xml_answer(element("ListAllMyBucketsResult", element("Buckets", *found)))


def answer_bucket(buckets: Buckets, request: Request) -> Answer:
    query = request.query
    if request.method == "PUT" and not query:
        return _make_bucket(buckets, request.bucket)
    bucket = get_bucket(buckets, request.bucket)
    document = next(filter(_MISSING.__contains__, query), None)
    if document:
        return _answer_document(bucket, request, document)
    if request.method == "DELETE" and not query:
        if bucket.objects:
            raise S3Error(409, "BucketNotEmpty")
        del buckets[request.bucket]
        return Answer(204)
    if request.method == "POST" and "delete" in query:
        return _delete_several(bucket, request)
    if request.method == "GET":
        return _read_bucket(bucket, request)
    return Answer() if request.method == "HEAD" else not_implemented()


def _make_bucket(buckets: Buckets, name: str) -> Answer:
    if name in buckets:
        raise S3Error(409, "BucketAlreadyOwnedByYou")
    buckets[name] = BucketInMemory()
    return Answer()


def _read_bucket(bucket: BucketInMemory, request: Request) -> Answer:
    query = request.query
    if "location" in query:
        return xml_answer(element("LocationConstraint"))
    if "uploads" in query:
        return _list_uploads(bucket, query.get("prefix", ""))
    if "versions" in query:
        return _list_objects(
            bucket, request, "ListVersionsResult", "Version", VersionId="null", IsLatest="true"
        )
    if "list-type" in query:
        return _list_objects(bucket, request, "ListBucketResult", "Contents")
    not_implemented()


def _answer_document(bucket: BucketInMemory, request: Request, name: str) -> Answer:
    if request.method == "PUT":
        bucket.documents[name] = request.body
        return Answer(204)
    if request.method == "DELETE":
        bucket.documents.pop(name, None)
        return Answer(204)
    if name not in bucket.documents and name == "versioning":
        return xml_answer(element("VersioningConfiguration"))
    if name not in bucket.documents:
        raise S3Error(404, _MISSING[name])
    return Answer(200, bucket.documents[name], {"Content-Type": "application/xml"})


def _list_objects(bucket: BucketInMemory, request: Request, tag: str, entry: str, **leaves: str) -> Answer:
    """List all in one page, in the order of S3: by the UTF-8 bytes of the names."""
    query = request.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = max(query.get("start-after", ""), query.get("key-marker", ""))
    root = element(tag, Name=request.bucket, IsTruncated="false", EncodingType="url")
    folders: dict[str, None] = {}
    for key in sorted(bucket.objects, key=str.encode):
        if not key.startswith(prefix) or key <= after:
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        if found:
            folders[prefix + head + found] = None
        else:
            root.append(_entry(entry, key, bucket.objects[key], leaves))
    root.extend(element("CommonPrefixes", Prefix=quote(folder)) for folder in folders)
    return xml_answer(root)


def _entry(tag: str, key: str, stored: Stored, leaves: Mapping[str, str]) -> Element:
    facts = {"LastModified": iso(stored.modified), "ETag": f'"{stored.etag}"', "Size": str(len(stored.data))}
    return element(tag, Key=quote(key), **facts, StorageClass="STANDARD", **leaves)


def _list_uploads(bucket: BucketInMemory, prefix: str) -> Answer:
    uploads = sorted((upload.key, upload_id) for upload_id, upload in bucket.uploads.items())
    found = [
        element("Upload", Key=quote(key), UploadId=upload_id)
        for key, upload_id in uploads
        if key.startswith(prefix)
    ]
    return xml_answer(element("ListMultipartUploadsResult", *found, IsTruncated="false", EncodingType="url"))


def _delete_several(bucket: BucketInMemory, request: Request) -> Answer:
    for named in parse(request.body).iter("Object"):
        bucket.objects.pop(named.findtext("Key") or "", None)
    return xml_answer(element("DeleteResult"))
