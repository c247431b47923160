"""Log lines: one record, one line, whatever is in it; and no secrets."""

import json
import logging
import sys

import pytest

import scopedcache as sc
from scopedcache.controller.reconcile_run import CURRENT_RUN, ReconcileRun
from scopedcache.event_logger import event_of
from scopedcache.kit import configure_logging
from scopedcache.kit.logs import JSONFormatter, TextFormatter
from scopedcache.testing import eventually
from tests.unit.cluster import CONFIG_MAP, Cluster, manifest
from tests.unit.kubeconfig import kubeconfig


def record(event="cache.created", *, error=None, level=logging.INFO, **extra):
    info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("scopedcache.cache", level, "file.py", 1, event, (), info)
    made.created, made.msecs = 1_700_000_000.1234, 123
    vars(made).update(extra)
    return made


def raised(error):
    try:
        raise error
    except Exception as caught:
        return caught


def text(made, **options):
    return TextFormatter(**options).format(made).split(" ", 1)[1]


def parsed(made, **options):
    line = JSONFormatter(**options).format(made)
    assert "\n" not in line
    return json.loads(line)


def test_text_begins_with_time_level_and_event_and_goes_on_with_fields():
    line = TextFormatter().format(record(namespace="a", uid="1", kinds=["Pod"], empty=None))

    assert line.split(" ", 1)[1] == "INFO    cache.created namespace=a uid=1 kinds=Pod"
    assert line[2] == line[5] == ":"
    assert line[8:12] == ".123"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("one", "one"),
        ("two words", '"two words"'),
        ("", '""'),
        ('"quoted"', r'"\"quoted\""'),
        ("a=b", '"a=b"'),
        ("two\nlines", r'"two\nlines"'),
        ("\x1b[31m", r'"\u001b[31m"'),
        ("größer", "größer"),
        (7, "7"),
    ],
)
def test_a_value_is_one_word_or_in_quotes_on_the_same_line(value, shown):
    assert text(record("e", value=value)) == f"INFO    e value={shown}"


def test_an_event_of_several_lines_stays_one():
    assert text(record("one\ntwo")) == r"INFO    one\ntwo"


def test_json_has_the_same_fields_as_data():
    assert parsed(record(namespace="a", kinds=["Pod"], object_name="m")) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "logger": "scopedcache.cache",
        "event": "cache.created",
        "namespace": "a",
        "kinds": ["Pod"],
        "name": "m",
    }


def test_a_field_cannot_pass_itself_off_as_the_event():
    made = record("real")
    vars(made).update(event="fake", level="fake", logger="fake", time=1)

    assert parsed(made) == parsed(record("real"))


def test_what_JSON_does_not_know_is_its_text():
    assert parsed(record(error_of=sc.TransportError("x"), key=sc.ObjectKey("a", "m")))["error_of"] == "x"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (sc.TransportError("nobody answers"), "nobody answers"),
        (KeyError("x"), "KeyError: 'x'"),
        (OSError(), "OSError: "),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_an_exception_is_a_field_with_its_type_where_it_is_not_ours(error, words, named):
    made = _named(error) if named else record(error=raised(error))

    shown = text(made).partition("error=")[2].partition(" at=")[0]
    assert (parsed(made)["error"], shown.strip('"')) == (words, words)


def test_an_authors_exception_shows_where_it_was_raised_and_an_error_of_ours_does_not():
    bug, refusal = record(error=raised(ValueError("x"))), record(error=raised(sc.TransportError("x")))

    assert parsed(bug)["at"] == f"{__file__}:{raised.__code__.co_firstlineno + 2}"
    assert f"at={__file__}:" in text(bug)
    assert "at" not in parsed(refusal)


def test_what_the_authors_code_calls_is_not_where_to_look():
    try:
        json.loads("{")
    except ValueError as error:
        made = record(error=error)

    assert parsed(made)["at"].startswith(f"{__file__}:")


def test_of_a_group_the_first_exception_is_located():
    made = record(error=ExceptionGroup("several", [raised(ValueError("x"))]))

    assert parsed(made)["at"].startswith(f"{__file__}:")


def test_a_line_of_somebody_elses_logger_carries_the_run_it_was_logged_in():
    token = CURRENT_RUN.set(ReconcileRun("memcached", sc.ObjectKey("a", "m"), id="c0ffee00"))
    shown = parsed(record())
    CURRENT_RUN.reset(token)

    assert (shown["reconcile"], "reconcile" in parsed(record())) == ("c0ffee00", False)


def _named(error):
    made = record(error=raised(error))
    vars(made)["error"] = str(error)
    return made


def test_an_error_told_in_other_words_keeps_them():
    made = _named(sc.TransportError("its own words"))
    vars(made)["error"] = "TransportError: in ours"

    assert parsed(made)["error"] == "TransportError: in ours"


def test_text_shows_tracebacks_only_where_asked_for():
    made = record(error=raised(ValueError("x")))

    assert "\n" not in text(made)
    assert "Traceback" in text(made, tracebacks=True)


def test_json_shows_the_traceback_of_what_nobody_raised_on_purpose():
    bug, refusal = record(error=raised(ValueError("x"))), record(error=raised(sc.TransportError("x")))

    assert ("traceback" in parsed(bug), "traceback" in parsed(refusal)) == (True, False)
    assert "traceback" in parsed(refusal, tracebacks=True)


@pytest.fixture
def root():
    """Give the loggers back as they were."""
    loggers = [logging.getLogger(name) for name in ("", "scopedcache", "mine")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize(("verbose", "levels"), [(False, ["INFO", "WARNING"]), (True, ["DEBUG", "INFO", "WARNING"])])
def test_ours_is_shown_from_INFO_and_everybody_elses_from_WARNING(root, capsys, verbose, levels):
    configure_logging("json", "mine", verbose=verbose)
    for name in ("mine", "scopedcache.cache", "aiohttp.client"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger(name).log(level, "event")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [line["level"].upper() for line in lines if line["logger"] == "scopedcache.cache"] == levels
    assert [line["level"].upper() for line in lines if line["logger"] == "aiohttp.client"] == ["WARNING"]


def test_configuring_twice_shows_each_line_once(root, capsys):
    configure_logging()
    configure_logging()
    logging.getLogger("scopedcache").info("once")

    assert capsys.readouterr().err.count("once") == 1
    assert sys.stderr is not None


@pytest.mark.asyncio(loop_factories=["real"])
@pytest.mark.parametrize("credentials", ["token", "password"])  # of a password the cluster knows nothing: 401
@pytest.mark.parametrize(
    "trouble",
    [{}, {"refuse": True}, {"code": 200, "html": True}, {"code": 403, "html": True}, {"code": 401}],
    ids=["none", "cut", "HTML", "HTML 403", "401"],
)
async def test_no_line_carries_a_secret_whatever_happens(root, caplog, tmp_path, credentials, trouble):
    """The whole path at DEBUG: requests, watches, refusals and lost connections."""
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "kubeconfig"
    with Cluster.running(http=True) as server:
        secret = server.operator.token if credentials == "token" else "eyJ-very-secret-password"
        user = {"token": secret} if credentials == "token" else {"username": "me", "password": secret}
        path.write_text(kubeconfig(server.embedded.url, ca=server.embedded.ca_file, **user))
        server.grant("a", CONFIG_MAP)
        server.write({**manifest(CONFIG_MAP, "c", "a"), "data": {"token": secret}})
        async with sc.ScopedCache.connect(kubeconfig=path) as cache:
            errors = []
            async with cache.informer(CONFIG_MAP, namespace="a") as handle:
                if credentials == "token":
                    await handle.wait_synced()
                if trouble:
                    server.trouble(**trouble)
                for ask in (cache.client.version, lambda: cache.client.list(CONFIG_MAP, namespace="a")):
                    try:
                        await ask()
                    except sc.ScopedCacheError as error:
                        errors.append(str(error))
                lost = len(watch_ends(caplog))
                server.cut()
                if credentials == "token":
                    await eventually(lambda: len(watch_ends(caplog)) > lost)
    said = "\n".join([*errors, *(TextFormatter(tracebacks=True).format(made) for made in caplog.records)])

    assert secret not in said
    assert "Basic " not in said


def watch_ends(caplog):
    return [record for record in caplog.records if event_of(record) == "watch.interrupted"]
