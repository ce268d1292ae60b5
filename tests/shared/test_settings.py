"""Every variable: its default, its values, and what a wrong one is answered with. Secrets show nowhere."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import settings
from shared.errors import ConfigError
from shared.settings import NodeSettings, Settings, load, mask_url, read_files

SECRET = "correct-horse-battery"  # noqa: S105 - must show nowhere
NODE = {"MAIN_RPC_URL": "http://127.0.0.1:8332", "MAIN_RPC_USER": "alice", "MAIN_RPC_PASSWORD": SECRET}


def test_without_any_variable_the_defaults_hold(no_env: Path) -> None:
    config = load({}, no_env)
    assert config == Settings(
        network="main",
        redis_url=None,
        nodes=(NodeSettings("main", "", "", "", None, ()),),
        web_host="127.0.0.1",
        web_port=8080,
        data_dir=Path(".data"),
        log_level="info",
        log_format="json",
        metrics_port=None,
        instance="",
        pools_file=None,
        backfill_load=50,
    )
    assert config.configured_nodes == ()


def test_every_variable_is_read(no_env: Path) -> None:
    config = load(
        {
            "REDIS_URL": "redis://127.0.0.1:6379/3",
            "BITCOIN_NETWORK": "Signet",
            "NODES": "main, node-2,spare",
            "MAIN_RPC_URL": "http://127.0.0.1:8332",
            "MAIN_RPC_COOKIE_FILE": "/somewhere/.cookie",
            "MAIN_ZMQ_URLS": " tcp://127.0.0.1:28332 ,ipc:///run/zmq,",
            "NODE_2_RPC_URL": "https://node.example:443/path",
            "NODE_2_RPC_USER": "alice",
            "NODE_2_RPC_PASSWORD": SECRET,
            "WEB_HOST": "0.0.0.0",
            "WEB_PORT": "0",
            "DATA_DIR": "/somewhere/else",
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "console",
            "METRICS_PORT": "9100",
            "INSTANCE": "mempool-1",
            "POOLS_FILE": "pools.json",
            "BACKFILL_LOAD": "100",
        },
        no_env,
    )
    main, second, spare = config.nodes
    assert (main.name, main.rpc_cookie_file) == ("main", Path("/somewhere/.cookie"))
    assert main.zmq_urls == ("tcp://127.0.0.1:28332", "ipc:///run/zmq")
    assert (second.name, second.prefix, second.rpc_user, second.rpc_password) == ("node-2", "NODE_2", "alice", SECRET)
    assert spare.rpc_url == ""
    assert [node.name for node in config.configured_nodes] == ["main", "node-2"]
    assert (config.network, config.redis_url) == ("signet", "redis://127.0.0.1:6379/3")
    assert (config.web_host, config.web_port, config.metrics_port) == ("0.0.0.0", 0, 9100)
    assert (config.log_level, config.log_format, config.instance) == ("debug", "console", "mempool-1")
    assert (config.data_dir, config.pools_file) == (Path("/somewhere/else"), Path("pools.json"))
    assert config.backfill_load == 100


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"BITCOIN_NETWORK": "mainnet"}, ["BITCOIN_NETWORK='mainnet'", "main, test, testnet4, signet, regtest"]),
        ({"LOG_LEVEL": "loud"}, ["LOG_LEVEL='loud'", "debug, info, warning, error"]),
        ({"LOG_FORMAT": "xml"}, ["LOG_FORMAT='xml'", "json, console"]),
        ({"WEB_PORT": "http"}, ["WEB_PORT='http'", "0 to 65535"]),
        ({"BACKFILL_LOAD": "101"}, ["BACKFILL_LOAD='101'", "a whole number from 0 to 100"]),
        ({"BACKFILL_LOAD": "half"}, ["BACKFILL_LOAD='half'", "a whole number from 0 to 100"]),
        ({"BACKFILL_LOAD": "-1"}, ["BACKFILL_LOAD='-1'", "a whole number from 0 to 100"]),
        ({"WEB_PORT": "65536"}, ["WEB_PORT='65536'", "0 to 65535"]),
        ({"WEB_PORT": "-1"}, ["WEB_PORT='-1'", "0 to 65535"]),
        ({"METRICS_PORT": "1e3"}, ["METRICS_PORT='1e3'", "0 to 65535"]),
        ({"NODES": "main,node 2"}, ["NODES", "'node 2'", "letters, digits, - and _"]),
        ({"NODES": "main,Main"}, ["NODES='main,main'", "each name once"]),
        ({"NODES": "node-2,node_2"}, ["NODES='node-2,node_2'", "each name once"]),
        ({"NODES": " , "}, ["NODES=','", "at least one name"]),
        ({"REDIS_URL": "http://127.0.0.1:6379"}, ["REDIS_URL='http://127.0.0.1:6379'", "redis://", "redis+cluster://"]),
        ({"REDIS_URL": "redis://"}, ["REDIS_URL='redis://'", "no host"]),
        ({"REDIS_URL": "redis://127.0.0.1:port"}, ["REDIS_URL='redis://127.0.0.1:port'", "expected an address"]),
        ({"REDIS_URL": f"redis://:{SECRET}@"}, ["REDIS_URL='redis://:***@'", "no host"]),
        ({"REDIS_URL": f"valkey://u:{SECRET}@h:1"}, ["REDIS_URL='valkey://u:***@h:1'", "expected an address"]),
        ({"REDIS_URL": f"u:{SECRET}@h:6379"}, ["REDIS_URL='u:***@h:6379'", "expected an address"]),
        ({"REDIS_URL": f"redis:/u:{SECRET}@h:6379"}, ["REDIS_URL='redis:***@h:6379'", "expected an address"]),
        ({"REDIS_URL": f"redes://h/0?password={SECRET}&db=1"}, ["REDIS_URL='redes://h/0?password=***&db=1'"]),
        ({**NODE, "MAIN_RPC_URL": "127.0.0.1:8332"}, ["MAIN_RPC_URL='127.0.0.1:8332'", "http:// or https://"]),
        (
            {**NODE, "MAIN_RPC_URL": f"http://alice:{SECRET}@127.0.0.1:8332"},
            ["MAIN_RPC_URL='http://alice:***@127.0.0.1:8332'", "MAIN_RPC_USER and MAIN_RPC_PASSWORD"],
        ),
        (
            {**NODE, "MAIN_RPC_URL": f"alice:{SECRET}@127.0.0.1:8332"},
            ["MAIN_RPC_URL='alice:***@127.0.0.1:8332'", "http:// or https://"],
        ),
        ({**NODE, "MAIN_RPC_PASSWORD": ""}, ["MAIN_RPC_PASSWORD is not set"]),
        ({**NODE, "MAIN_RPC_USER": " "}, ["MAIN_RPC_USER is not set"]),
        (
            {"MAIN_RPC_URL": "http://127.0.0.1:8332"},
            ["MAIN_RPC_URL", "MAIN_RPC_COOKIE_FILE", "MAIN_RPC_USER and MAIN_RPC_PASSWORD"],
        ),
        ({**NODE, "MAIN_ZMQ_URLS": "tcp://127.0.0.1:1,http://x"}, ["MAIN_ZMQ_URLS='http://x'", "tcp:// or ipc://"]),
        ({**NODE, "MAIN_ZMQ_URLS": "tcp://"}, ["MAIN_ZMQ_URLS='tcp://'", "no host"]),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(variables: dict[str, str], said: list[str], no_env: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(variables, no_env)
    for words in said:
        assert words in str(raised.value)
    assert SECRET not in str(raised.value)


def test_addresses_that_redis_serves_at_are_taken(no_env: Path) -> None:
    for url in (
        "redis://127.0.0.1",
        "redis://user:p%40ss@127.0.0.1:6379/1",
        "rediss://cache.example:6380",
        "unix:///run/redis.sock",
        "redis+cluster://a:1,b:2,c:3",
        "redis+sentinel://a:1,b:2/dashboard/0",
    ):
        assert load({"REDIS_URL": url}, no_env).redis_url == url


def test_no_secret_shows_in_what_is_printed_or_logged(no_env: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load({**NODE, "REDIS_URL": f"redis://u:{SECRET}@127.0.0.1"}, no_env)
    logging.getLogger("test").warning("%s %r %s", config, config, config.nodes)
    for text in (repr(config), str(config), f"{config.nodes[0]!r}", caplog.text):
        assert SECRET not in text
    assert config.redis_url is not None
    assert SECRET in config.redis_url  # it was there to be shown
    assert config.nodes[0].rpc_password == SECRET


@given(
    user=st.text(alphabet="abcXYZ019-_.%", max_size=8),
    password=st.text(alphabet="abcXYZ019:@/?#&=%-", min_size=6, max_size=20).filter(lambda text: text.strip("@")),
    scheme=st.sampled_from(["redis://", "http://", "", "redis+cluster://"]),
)
def test_a_password_is_masked_wherever_it_stands(user: str, password: str, scheme: str) -> None:
    password = f"pw{password}pw"
    masked = mask_url(f"{scheme}{user}:{password}@host:1")
    assert password not in masked
    assert masked.endswith("@host:1")
    assert masked.startswith(scheme)


def test_settings_do_not_change_after_reading(no_env: Path) -> None:
    config = load(NODE, no_env)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.web_port = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.nodes[0].rpc_password = ""  # type: ignore[misc]


# --- files -------------------------------------------------------------------------------------------------


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f".env.{name}").write_text(text)
    return folder


def test_files_are_read_and_the_environment_wins(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "env",
        main="WEB_PORT=1234\nLOG_LEVEL=warning\nBITCOIN_NETWORK=signet\n# a comment\n",
        api="COINGECKO_API_KEY=key\n",
        node2="NODE2_RPC_URL='http://127.0.0.1:1'\nNODE2_RPC_COOKIE_FILE=\"$HOME/.cookie\"\n",
    )
    config = load({"NODES": "main,node2", "LOG_LEVEL": "error", "BITCOIN_NETWORK": " "}, folder)
    assert config.web_port == 1234
    assert config.log_level == "error"
    assert config.network == "signet"  # an empty variable counts as not set
    assert config.nodes[1].rpc_url == "http://127.0.0.1:1"
    assert config.nodes[1].rpc_cookie_file == Path("$HOME/.cookie")  # nothing is interpolated


def test_the_folder_is_named_by_env_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "elsewhere", main="WEB_PORT=4321\n")
    assert load({"ENV_DIR": str(folder)}).web_port == 4321
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "env", main="WEB_PORT=4322\n")
    assert load({}).web_port == 4322
    monkeypatch.setenv("WEB_PORT", "4323")
    assert load().web_port == 4323


def test_examples_and_what_editors_leave_are_no_settings(tmp_path: Path) -> None:
    folder = write(tmp_path / "env", main="WEB_PORT=1\n", **{"main.example": "WEB_PORT=2\n", "example": "WEB_PORT=3\n"})
    for name in (".env.main.bak", ".env.main~", ".env.main.swp", ".env.main.old"):
        (folder / name).write_text("WEB_PORT=9\n")
    assert load({}, folder).web_port == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "env", main="WEB_PORT\n")
    with pytest.raises(ConfigError, match=r"\.env\.main: WEB_PORT has no value"):
        load({}, folder)
    (folder / ".env.main").write_bytes(b"WEB_HOST=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"\.env\.main"):
        load({}, folder)


def test_a_missing_folder_is_no_error(tmp_path: Path) -> None:
    assert read_files(tmp_path / "nothing") == {}


def test_a_wrong_value_in_a_file_is_named_as_in_the_environment(tmp_path: Path) -> None:
    folder = write(tmp_path / "env", main=f"MAIN_RPC_URL=http://a:{SECRET}@h\n")
    with pytest.raises(ConfigError, match=r"MAIN_RPC_URL='http://a:\*\*\*@h'"):
        load({}, folder)


def test_an_address_without_a_password_is_shown_as_it_is() -> None:
    assert settings.mask_url("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/0"
    assert settings.mask_url("redis://u@127.0.0.1") == "redis://u:***@127.0.0.1"
