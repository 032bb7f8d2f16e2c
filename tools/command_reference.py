"""The management commands and their options, as docs/commands.md lists them.

python3 dev.py run tools.command_reference    # renews the page
"""

from __future__ import annotations

from argparse import SUPPRESS, Action
from pathlib import Path

from django.core.management import find_commands, load_command_class
from django.core.management.base import BaseCommand

ROOT = Path(__file__).parents[1]
APPS = ("django_minio_router", "django_minio_router.direct")
PAGE = ROOT / "docs" / "commands.md"
TESTS = {  # of what the help promises
    "bucket_tasks": "test_a_bucket_that_fails_fails_its_task_alone",
    "bucket_usage": "test_objects_and_bytes_of_each_tenant_and_bucket",
    "check_server": "test_what_a_setting_needs_and_the_server_lacks_is_an_error",
    "clean_incoming_uploads": "test_the_command_cleans_every_tenant_and_spares_the_last_day",
    "clean_orphaned_minio_files": "test_an_object_without_a_row_is_deleted_and_one_with_a_row_stays",
    "initialize_buckets": "test_a_contradiction_is_refused_before_anything_is_created, test_changes_nothing",
    "is_minio_available": "test_a_server_that_never_answers, test_a_server_that_refuses_the_keys_is_an_error",
    "mend_file_names": "test_the_slash_goes_and_the_file_stays",
    "move_objects": "test_another_content_under_the_name_is_never_overwritten, "
    "test_a_run_that_was_killed_is_completed_by_the_next",
    "purge_tenant": "test_old_versions_markers_and_unfinished_uploads_go_too",
    "sync_object_headers": "test_what_is_stored_or_deleted_between_look_and_write_stays",
    "translate_settings": "test_no_key_is_printed",
}
HEAD = """\
# Commands

```console
python manage.py initialize_buckets --all-tenants
```

`python manage.py help COMMAND` prints the same, plus the options of every Django command.
`clean_incoming_uploads` is a command of `django_minio_router.direct`, the others of `django_minio_router`.
`python3 dev.py run tools.command_reference` generates this page from the commands.
"""


def main() -> None:
    PAGE.write_text(page())


def page() -> str:
    """Return the page generated from the current commands."""
    found = sorted((name, app) for app in APPS for name in find_commands(folder(app)))
    return HEAD + "".join(described(name, app) for name, app in found)


def folder(app: str) -> str:
    return str(ROOT.joinpath(*app.split("."), "management"))


def described(name: str, app: str) -> str:
    command = load_command_class(app, name)
    rows = "".join(f"| `{shown(option)}` | {meaning(option)} |\n" for option in own_options(command))
    table = f"\n| option | meaning |\n|---|---|\n{rows}" if rows else ""
    return f"\n## `{name}`\n\n{command.help} <!-- {TESTS[name]} -->\n{table}"


def own_options(command: BaseCommand) -> list[Action]:
    """Return the command's own options, without hidden ones."""
    common = {option.dest for option in BaseCommand().create_parser("", "")._actions}
    options = command.create_parser("", "")._actions
    return [option for option in options if option.dest not in common and option.help != SUPPRESS]


def shown(option: Action) -> str:
    value = option.metavar or option.dest.upper()
    if not option.option_strings:
        return str(value)
    name = ", ".join(option.option_strings)
    return name if option.nargs == 0 else f"{name} {value}"


def meaning(option: Action) -> str:
    return ((option.help or "") % {"default": option.default}).replace("|", "\\|")


if __name__ == "__main__":
    import django
    from django.conf import settings

    settings.configure(INSTALLED_APPS=APPS[:1])
    django.setup()
    main()
