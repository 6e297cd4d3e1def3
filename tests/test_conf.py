from __future__ import annotations

import math

import msgspec
import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from hub import conf
from hub.conf import ENVIRONMENT, Config, config, problems_and_config, read
from tests import strategies  # noqa: F401 - loads the profile

KEYS = [name.upper() for name in Config.__struct_fields__]
DEFAULTS = Config()


def tenant_rule(scope: object) -> str:
    """A callable for HUB["TENANT"] to name."""
    return "north"


NOT_CALLABLE = 7


def only_problem(given: object, environ: dict[str, str] | None = None) -> conf.Problem:
    settings, problems = read(given, environ or {})
    assert settings == DEFAULTS
    [problem] = problems
    return problem


# --- where a value comes from -------------------------------------------------------------------------------------


def test_nothing_given_means_the_defaults():
    assert (DEFAULTS, []) == read({}, {})


def test_the_defaults_are_valid_themselves():
    given = {name.upper(): value for name, value in msgspec.structs.asdict(DEFAULTS).items()}
    assert (DEFAULTS, []) == read(given, {})


def test_settings_stand_over_the_environment_and_that_over_defaults():
    assert read({}, {"HUB_SWEEP_INTERVAL": "2.5"})[0].sweep_interval == 2.5
    assert read({"SWEEP_INTERVAL": 4}, {"HUB_SWEEP_INTERVAL": "2.5"})[0].sweep_interval == 4


def test_a_wrong_variable_does_not_matter_where_settings_say_otherwise():
    assert [] == read({"SWEEP_INTERVAL": 4}, {"HUB_SWEEP_INTERVAL": "soon"})[1]


def test_every_key_has_a_variable_of_its_own():
    assert len(set(ENVIRONMENT.values())) == len(KEYS)
    assert ENVIRONMENT["enabled"] == "HUB_ENABLED"


def test_variables_that_are_known_elsewhere_keep_their_names():
    assert "PROMETHEUS_METRICS_PATH" == ENVIRONMENT["metrics_path"]
    assert "ENABLE_PROMETHEUS" == ENVIRONMENT["prometheus"]
    assert read({}, {"PROMETHEUS_METRICS_PATH": "/numbers"})[0].metrics_path == "/numbers"


def test_other_variables_are_none_of_our_business():
    assert (DEFAULTS, []) == read({}, {"PATH": "/bin", "HUB_VAR": "/tmp", "HUB_UNKNOWN": "1"})


@pytest.mark.parametrize("text", ["1", "true", "True", "TRUE", "yes", "on", " true "])
def test_what_means_yes(text):
    assert (DEFAULTS, []) == read({}, {"HUB_ENABLED": text})


@pytest.mark.parametrize("text", ["0", "false", "False", "no", "off", "OFF"])
def test_what_means_no(text):
    settings, problems = read({}, {"HUB_ENABLED": text})
    assert (False, []) == (settings.enabled, problems)


def test_lists_in_the_environment_are_separated_by_commas():
    settings, problems = read(
        {}, {"HUB_METRICS_NETWORKS": "10.0.0.0/8, ::1/128,", "HUB_ALLOWED_ORIGINS": "https://a.example"}
    )
    assert [] == problems
    assert (("10.0.0.0/8", "::1/128"), ("https://a.example",)) == (settings.metrics_networks, settings.allowed_origins)


def test_an_empty_variable_means_none():
    settings, problems = read(
        {}, {"HUB_METRICS_TOKEN": "", "HUB_TENANT": " ", "HUB_METRICS_NETWORKS": "", "HUB_ALLOWED_ORIGINS": ""}
    )
    assert [] == problems
    assert (None, None, (), None) == (
        settings.metrics_token, settings.tenant, settings.metrics_networks, settings.allowed_origins,
    )  # fmt: skip


# --- what can't be used -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["ENABELD", "enabled", "Enabled", "", 7, None])
def test_an_unknown_key_is_named_beside_the_known_ones(key):
    problem = only_problem({key: False})
    assert repr(key) in problem.message
    assert "ENABLED" in problem.hint


@pytest.mark.parametrize("given", [None, [], "ENABLED", True, 7])
def test_settings_that_are_no_dictionary(given):
    problem = only_problem(given)
    assert repr(given) in problem.message
    assert "HUB = {" in problem.hint


SECONDS = [
    "SWEEP_INTERVAL", "EVENT_RETENTION_SECONDS", "FEED_HEARTBEAT", "FEED_RIGHTS_INTERVAL", "HEARTBEAT_INTERVAL",
    "PRESENCE_TIMEOUT",
]  # fmt: skip


@pytest.mark.parametrize("key", SECONDS)
@pytest.mark.parametrize(
    "value", ["500ms", "1s", "soon", "", -1, 0, -0.5, 1e9, math.inf, math.nan, True, None, [1], {}]
)
def test_an_interval_is_a_positive_number_of_seconds(key, value):
    problem = only_problem({key: value})
    assert key in problem.key
    assert repr(value) in problem.message
    assert "seconds" in problem.hint
    assert "without a unit" in problem.hint


@pytest.mark.parametrize("value", ["500ms", "-1", "nan", "inf", "True"])
def test_the_environment_is_held_to_the_same(value):
    problem = only_problem({}, {"HUB_SWEEP_INTERVAL": value})
    assert problem.key == "HUB_SWEEP_INTERVAL"
    assert repr(value) in problem.message


@pytest.mark.parametrize("value", ["1MB", "64 MiB", 0, -1, 1023, 1.5, True])
def test_memory_is_a_number_of_bytes(value):
    problem = only_problem({"INBOX_BYTES": value})
    assert repr(value) in problem.message
    assert "bytes" in problem.hint


@pytest.mark.parametrize("value", [0, -5, 1.5, "many", True, False, None])
def test_a_count_is_a_positive_whole_number(value):
    assert repr(value) in only_problem({"INBOX_MESSAGES": value}).message


@pytest.mark.parametrize("value", [1, 0, 2, "maybe", None, []])
def test_a_switch_is_on_or_off(value):
    assert repr(value) in only_problem({"ENABLED": value}).message


@pytest.mark.parametrize("value", ["metrics", "/a b", "/é", "/" * 300, "", 7, True])
def test_a_path_begins_with_a_slash(value):
    assert "METRICS_PATH" in only_problem({"METRICS_PATH": value}).message


@pytest.mark.parametrize("value", ["short", 1234567890123456, True, ""])
def test_a_token_that_can_be_guessed_is_refused_and_not_shown(value):
    problem = only_problem({"METRICS_TOKEN": value})
    assert "METRICS_TOKEN" in problem.message
    assert not value or repr(value) not in problem.message + problem.hint


@pytest.mark.parametrize("value", [["10.0.0.0/33"], ["10.0.0.1/8"], ["localhost"], "10.0.0.0/8", [7], True])
def test_networks_are_a_list_of_networks(value):
    assert "METRICS_NETWORKS" in only_problem({"METRICS_NETWORKS": value}).message


@pytest.mark.parametrize(
    "value", ["no.such.module", "nothing", f"{__name__}.missing", f"{__name__}.NOT_CALLABLE", tenant_rule]
)
def test_a_tenant_rule_is_the_path_of_a_callable(value):
    assert "TENANT" in only_problem({"TENANT": value}).message


def test_a_tenant_rule_that_can_be_called():
    assert read({"TENANT": f"{__name__}.tenant_rule"}, {})[0].tenant == f"{__name__}.tenant_rule"


@pytest.mark.parametrize("value", [["layer_filling"], "layer_filling", 5, True, None, {5: False}])
def test_rules_are_a_dictionary_by_name(value):
    problem = only_problem({"RULES": value})
    assert ("RULES" in problem.message, "dictionary" in problem.hint) == (True, True)


def test_rules_stand_in_the_environment_as_json():
    settings, problems = read({}, {"HUB_RULES": '{"layer_filling": false, "handler_errors": {"above": 20}}'})
    assert ({"layer_filling": False, "handler_errors": {"above": 20}}, []) == (settings.rules, problems)
    assert (DEFAULTS, []) == read({}, {"HUB_RULES": " "})
    assert "'{layer'" in only_problem({}, {"HUB_RULES": "{layer"}).message


@pytest.mark.parametrize("key", ["ROUTES", "MAINTENANCE", "INHIBITIONS"])
def test_lists_of_dictionaries_stand_in_the_environment_as_json(key):
    settings, problems = read({}, {f"HUB_{key}": '[{"name": "a"}]'})
    assert ([{"name": "a"}], []) == (getattr(settings, key.lower()), problems)
    assert (DEFAULTS, []) == read({}, {f"HUB_{key}": ""})
    problem = only_problem({key: {"name": "a"}})
    assert ("list of dictionaries" in problem.hint, "JSON" in problem.hint) == (True, True)


def test_receivers_take_values_from_the_environment_and_show_nothing():
    given = {"ops": {"type": "email", "to": ["env:MAIL", "b@example.com"], "port": 25, "user": "env:MISSING"}}
    settings, problems = read({"RECEIVERS": given}, {"MAIL": " a@example.com "})
    assert [] == problems
    assert {"type": "email", "to": ["a@example.com", "b@example.com"], "port": 25, "user": "env:MISSING"} == (
        settings.receivers["ops"]
    )
    assert "a@example.com" not in repr(settings)
    assert "a@example.com" not in only_problem({"RECEIVERS": ["a@example.com"]}).message


def test_a_last_resort_of_nobody_is_not_none():
    assert [(), None, ("a", "b")] == [
        read(given, environ)[0].last_resort
        for given, environ in (({"LAST_RESORT": []}, {}), ({}, {}), ({}, {"HUB_LAST_RESORT": "a, b"}))
    ]


@pytest.mark.parametrize("value", ["hub.example.com", "/hub/", "javascript:alert(1)", "https://a b", 'https://a"b', ""])
def test_the_page_has_a_whole_address(value):
    assert "PAGE_URL" in only_problem({"PAGE_URL": value}).message


def test_one_wrong_value_spoils_no_other():
    settings, problems = read({"INBOX": False, "SWEEP_INTERVAL": "x", "FEED_CLIENTS": 3, "WAT": 1}, {})
    assert (False, 1.0, 3) == (settings.inbox, settings.sweep_interval, settings.feed_clients)
    assert {"HUB['SWEEP_INTERVAL']", "HUB['WAT']"} == {problem.key for problem in problems}


# --- what can't be used together ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "environ"),
    [
        ({"PRESENCE_TIMEOUT": 59}, {}),
        ({"HEARTBEAT_INTERVAL": 151}, {}),
        ({}, {"HUB_PRESENCE_TIMEOUT": "59"}),
        ({}, {"WEBSOCKET_HEARTBEAT_INTERVAL": "151"}),
        ({"PRESENCE_TIMEOUT": 3}, {"WEBSOCKET_HEARTBEAT_INTERVAL": "2"}),
    ],
)
def test_a_time_out_shorter_than_two_heartbeats_is_refused_with_both_names_and_the_remedy(given, environ):
    problem = only_problem(given, environ)
    for name in ("PRESENCE_TIMEOUT", "HUB_PRESENCE_TIMEOUT"):
        assert name in problem.message
    for name in ("HEARTBEAT_INTERVAL", "WEBSOCKET_HEARTBEAT_INTERVAL", "Give at least"):
        assert name in problem.hint
    assert not problem.unknown_key


def test_the_least_that_will_do_is_said():
    problem = only_problem({"PRESENCE_TIMEOUT": 19, "HEARTBEAT_INTERVAL": 10})
    assert "is 19, less than two heartbeat intervals of 10 seconds" in problem.message
    assert "Give at least 20 seconds" in problem.hint


def test_exactly_two_heartbeats_will_do():
    settings, problems = read({"PRESENCE_TIMEOUT": 20, "HEARTBEAT_INTERVAL": 10}, {})
    assert (20.0, 10.0, []) == (settings.presence_timeout, settings.heartbeat_interval, problems)


def test_a_contradiction_spoils_nothing_else():
    settings, _ = read({"PRESENCE_TIMEOUT": 20, "PRESENCE_GRACE": 0, "PRESENCE": False, "CONTROL_FRAMES": False}, {})
    assert (300.0, 0.0) == (settings.presence_timeout, settings.presence_grace)
    assert (False, False) == (settings.presence, settings.control_frames)


@pytest.mark.parametrize("value", [-1, 601, "5s", None, True])
def test_a_grace_is_a_short_time_or_none(value):
    problem = only_problem({"PRESENCE_GRACE": value})
    assert repr(value) in problem.message
    assert "between 0 and 600, without a unit" in problem.hint


@pytest.mark.parametrize("value", ["no.such.module", f"{__name__}.missing", f"{__name__}.NOT_CALLABLE", tenant_rule])
def test_a_rule_for_presence_groups_is_the_path_of_a_callable(value):
    assert "PRESENCE_GROUPS" in only_problem({"PRESENCE_GROUPS": value}).message


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = plain | st.lists(plain, max_size=3) | st.dictionaries(st.text(max_size=5), plain, max_size=2)


@given(st.dictionaries(st.sampled_from(KEYS) | plain, anything, max_size=6))
def test_whatever_is_given_the_result_is_valid_and_each_problem_names_key_and_remedy(given):
    settings, problems = read(given, {})
    assert (settings, []) == read({name.upper(): value for name, value in msgspec.structs.asdict(settings).items()}, {})
    for problem in problems:
        assert problem.key in problem.message or "unknown key" in problem.message
        assert problem.hint


@given(st.dictionaries(st.sampled_from(sorted(ENVIRONMENT.values())), st.text(max_size=20), max_size=6))
def test_whatever_stands_in_the_environment_the_result_is_valid(environ):
    settings, problems = read({}, environ)
    assert {problem.key for problem in problems} <= {*environ, "HUB['PRESENCE_TIMEOUT']"}
    assert isinstance(settings, Config)


# --- the process's own --------------------------------------------------------------------------------------------


def test_the_configuration_is_frozen():
    with pytest.raises(AttributeError):
        DEFAULTS.enabled = False  # type: ignore[misc]


def test_it_is_read_once_and_anew_when_told_so(monkeypatch):
    monkeypatch.delenv("HUB_FEED_CLIENTS", raising=False)
    config.cache_clear()
    try:
        with override_settings(HUB={"FEED_CLIENTS": 7}):
            assert config().feed_clients == 7
            assert config() is config()
        assert config().feed_clients == 7
        config.cache_clear()
        assert config().feed_clients == DEFAULTS.feed_clients
        monkeypatch.setenv("HUB_FEED_CLIENTS", "9")
        assert problems_and_config()[0].feed_clients == 9
    finally:
        config.cache_clear()
