"""Every variable: its default, its values, and what a wrong one is answered with. Secrets show nowhere."""

from __future__ import annotations

import dataclasses
import logging
import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.addresses import SOCKET_PATH_MAX, listening_host, mask_url, web_url
from shared.errors import ConfigError
from shared.settings import NodeSettings, Settings, load, read_files

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
        currency="USD",
        allowed_hosts=(),
        trusted_proxies=(),
        admin_host="127.0.0.1",
        admin_port=None,
        data_dir=Path(".data"),
        log_level="info",
        log_format="json",
        metrics_port=None,
        instance="",
        alive_file="",
        pools_file=None,
        backfill_load=50,
        timeline_days=30,
        timeline_memory=1_024,
        outside=True,
        outside_url="",
        outside_contact="",
        coingecko_api_key="",
        wallet_secret="",
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
            "ALLOWED_HOSTS": "Dashboard.example, *.home.arpa",
            "TRUSTED_PROXIES": "127.0.0.1,fd00::/8",
            "ADMIN_HOST": "[::1]",
            "ADMIN_PORT": "8081",
            "DATA_DIR": "/somewhere/else",
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "console",
            "METRICS_PORT": "9100",
            "INSTANCE": "mempool-1",
            "POOLS_FILE": "pools.json",
            "BACKFILL_LOAD": "100",
            "TIMELINE_DAYS": "3650",
            "TIMELINE_MEMORY": "64",
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
    assert config.allowed_hosts == ("dashboard.example", "*.home.arpa")
    assert config.trusted_proxies == (ip_network("127.0.0.1/32"), ip_network("fd00::/8"))
    assert (config.admin_host, config.admin_port) == ("::1", 8081)
    assert (config.log_level, config.log_format, config.instance) == ("debug", "console", "mempool-1")
    assert (config.data_dir, config.pools_file) == (Path("/somewhere/else"), Path("pools.json"))
    assert config.backfill_load == 100
    assert (config.timeline_days, config.timeline_memory) == (3_650, 64)


def test_a_currency_is_read_in_any_case(no_env: Path) -> None:
    assert load({"CURRENCY": " sek "}, no_env).currency == "SEK"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"BITCOIN_NETWORK": "mainnet"}, ["BITCOIN_NETWORK='mainnet'", "main, test, testnet4, signet, regtest"]),
        ({"LOG_LEVEL": "loud"}, ["LOG_LEVEL='loud'", "debug, info, warning, error"]),
        ({"LOG_FORMAT": "xml"}, ["LOG_FORMAT='xml'", "json, console"]),
        ({"WEB_PORT": "http"}, ["WEB_PORT='http'", "0 to 65535"]),
        ({"BACKFILL_LOAD": "101"}, ["BACKFILL_LOAD='101'", "a whole number from 0 to 100"]),
        ({"TIMELINE_DAYS": "0"}, ["TIMELINE_DAYS='0'", "a whole number from 1 to 3650"]),
        ({"TIMELINE_DAYS": "3651"}, ["TIMELINE_DAYS='3651'", "a whole number from 1 to 3650"]),
        ({"TIMELINE_MEMORY": "15"}, ["TIMELINE_MEMORY='15'", "a whole number from 16 to 1000000"]),
        ({"BACKFILL_LOAD": "half"}, ["BACKFILL_LOAD='half'", "a whole number from 0 to 100"]),
        ({"BACKFILL_LOAD": "-1"}, ["BACKFILL_LOAD='-1'", "a whole number from 0 to 100"]),
        ({"CURRENCY": "doubloons"}, ["CURRENCY='doubloons'", "expected one of USD, EUR, JPY", "SEK"]),
        ({"CURRENCY": "RUB"}, ["CURRENCY='RUB'", "expected one of USD"]),
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
        # What a password may hold and an address may not.
        ({"REDIS_URL": f"redis://:{SECRET}#1@h:6379"}, ["REDIS_URL='redis://:***@h:6379'", "# is written %23"]),
        ({"REDIS_URL": f"redis://:{SECRET}#1"}, ["REDIS_URL='redis://:***'", "# is written %23"]),
        ({"REDIS_URL": f"redis://:a/{SECRET}@h:6379"}, ["end too early", "/ %2F"]),
        ({"REDIS_URL": f"redis://:a?{SECRET}@h:6379/0"}, ["end too early", "? %3F"]),
        ({"REDIS_URL": f"redis://u:50%{SECRET}!%@h:6379"}, ["not written as addresses need it", "% %25"]),
        ({"REDIS_URL": f"redis://:[{SECRET}@h:6379"}, ["REDIS_URL='redis://:***@h:6379'", "[ %5B"]),
        ({"REDIS_URL": f"redis://:{SECRET}[::1]@h:6379"}, ["REDIS_URL='redis://:***@h:6379'", "] %5D"]),
        # Where something listens is not where to reach it; every form has its own slips.
        ({"REDIS_URL": "redis://::1:6379"}, ["IPv6 address stands in brackets: redis://[::1]:PORT"]),
        ({"REDIS_URL": "redis://fe80::1"}, ["IPv6 address stands in brackets"]),
        ({"REDIS_URL": "redis://[::g]:6379"}, ["'::g' is no host"]),
        ({"REDIS_URL": "redis://h:65536"}, ["'65536' is no port"]),
        ({"REDIS_URL": "redis://h:6379/main"}, ["'/main' is no database", "a number"]),
        ({"REDIS_URL": "redis+cluster://a:1,b:2/3"}, ["a cluster has only database 0"]),
        ({"REDIS_URL": "REDIS://h"}, ["expected an address that begins with redis://"]),
        ({"REDIS_URL": "redis+cluster://a:1,::1:2"}, ["IPv6 address stands in brackets"]),
        ({"REDIS_URL": "unix://run/redis.sock"}, ["three slashes", "unix:///run/redis.sock"]),
        ({"REDIS_URL": "unix://"}, ["no path"]),
        ({"REDIS_URL": f"unix:///{'a' * SOCKET_PATH_MAX}"}, [f"at most {SOCKET_PATH_MAX} bytes"]),
        ({**NODE, "MAIN_RPC_URL": "http://::1:8332"}, ["IPv6 address stands in brackets: http://[::1]:PORT"]),
        ({**NODE, "MAIN_RPC_URL": "http://0.0.0.0:8332"}, ["0.0.0.0 is where a server listens", "127.0.0.1"]),
        ({**NODE, "MAIN_ZMQ_URLS": "tcp://*:28332"}, ["MAIN_ZMQ_URLS='tcp://*:28332'", "* is where a server listens"]),
        ({**NODE, "MAIN_ZMQ_URLS": "tcp://0.0.0.0:28332"}, ["0.0.0.0 is where a server listens"]),
        ({**NODE, "MAIN_ZMQ_URLS": "tcp://[::]:28332"}, [":: is where a server listens"]),
        ({**NODE, "MAIN_ZMQ_URLS": "tcp://127.0.0.1"}, ["no port"]),
        ({**NODE, "MAIN_ZMQ_URLS": "tcp://::1:28332"}, ["IPv6 address stands in brackets: tcp://[::1]:PORT"]),
        ({**NODE, "MAIN_ZMQ_URLS": "ipc://"}, ["no path"]),
        ({**NODE, "MAIN_ZMQ_URLS": f"ipc:///{'a' * SOCKET_PATH_MAX}"}, [f"at most {SOCKET_PATH_MAX} bytes"]),
        (
            {"MAIN_ELECTRUM_URL": "127.0.0.1:50001"},
            ["MAIN_ELECTRUM_URL='127.0.0.1:50001'", "tcp:// or ssl:// or ws://"],
        ),
        ({"MAIN_ELECTRUM_URL": "http://h:50001"}, ["MAIN_ELECTRUM_URL='http://h:50001'", "begins with tcp://"]),
        ({"MAIN_ELECTRUM_URL": "tcp://h"}, ["MAIN_ELECTRUM_URL='tcp://h'", "no port"]),
        ({"MAIN_ELECTRUM_URL": "wss://h/electrum"}, ["MAIN_ELECTRUM_URL='wss://h/electrum'", "wss://HOST:PORT"]),
        ({"MAIN_ELECTRUM_URL": "ssl://h:0"}, ["'0' is no port"]),
        ({"MAIN_ELECTRUM_URL": "tcp://::1:50001"}, ["IPv6 address stands in brackets: tcp://[::1]:PORT"]),
        ({"MAIN_ELECTRUM_URL": "tcp://h:50001/main"}, ["MAIN_ELECTRUM_URL='tcp://h:50001/main'", "nothing behind"]),
        ({"MAIN_ELECTRUM_URL": f"ssl://alice:{SECRET}@h:50002"}, ["'ssl://alice:***@h:50002'", "no user and password"]),
        (
            {"MAIN_ELECTRUM_URL": "ssl://h:50002", "MAIN_ELECTRUM_PIN": "ab" * 31},
            [f"MAIN_ELECTRUM_PIN={'ab' * 31!r}", "64 hex digits", "openssl x509"],
        ),
        (
            {"MAIN_ELECTRUM_URL": "tcp://h:50001", "MAIN_ELECTRUM_PIN": "ab" * 32},
            ["MAIN_ELECTRUM_PIN is set", "MAIN_ELECTRUM_URL='tcp://h:50001'", "ssl:// or wss://"],
        ),
        ({"MAIN_ELECTRUM_PIN": "ab" * 32}, ["MAIN_ELECTRUM_PIN is set", "expected ssl:// or wss://"]),
        ({"MAIN_ELECTRUM_URLS": "x"}, ["did you mean MAIN_ELECTRUM_URL?"]),
        ({"WEB_HOST": "http://127.0.0.1"}, ["WEB_HOST='http://127.0.0.1'", "without a port"]),
        ({"WEB_HOST": "127.0.0.1:8080"}, ["WEB_HOST='127.0.0.1:8080'", "without a port"]),
        ({"WEB_HOST": "*"}, ["WEB_HOST='*'", ":: (every address)"]),
        ({"ADMIN_HOST": "[::1]:8081"}, ["ADMIN_HOST='[::1]:8081'", "without a port"]),
        ({"ADMIN_PORT": "admin"}, ["ADMIN_PORT='admin'", "0 to 65535"]),
        ({"ALLOWED_HOSTS": "a,http://b"}, ["ALLOWED_HOSTS='http://b'", "names without http:// and port"]),
        ({"TRUSTED_PROXIES": "10.0.0.0/33"}, ["TRUSTED_PROXIES='10.0.0.0/33'", "addresses or networks"]),
        ({"TRUSTED_PROXIES": "proxy"}, ["TRUSTED_PROXIES='proxy'", "addresses or networks"]),
        ({"WALLET_SECRET": SECRET[:31]}, ["WALLET_SECRET: expected at least 32 characters at random"]),
        ({"WALLET_SECRET": "a" * 40}, ["WALLET_SECRET: expected at least 32 characters at random"]),
        ({"WALLET_SECRET": SECRET, "WALLET_SECRET_FILE": "/x"}, ["are both set: expected one of them"]),
        ({"WALLET_SECRET_FILE": "/nonexistent"}, ["WALLET_SECRET_FILE='/nonexistent' cannot be read: No such file"]),
        ({"WALLET_SECRET_FILE": "/dev/null"}, ["WALLET_SECRET_FILE='/dev/null': expected at least 32 characters"]),
        # A slip in a name, where it can only be ours.
        ({**NODE, "MAIN_RCP_URL": "x"}, ["MAIN_RCP_URL is no variable of ours: did you mean MAIN_RPC_URL?"]),
        ({"MAIN_ZMQ_URL": "x"}, ["did you mean MAIN_ZMQ_URLS?"]),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(variables: dict[str, str], said: list[str], no_env: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(variables, no_env)
    for words in said:
        assert words in str(raised.value)
    assert SECRET not in str(raised.value)


def test_electrum_servers_of_some_nodes_and_their_pins(no_env: Path) -> None:
    colons = ":".join(["AB"] * 32)
    config = load(
        {
            "NODES": "main,node-2,spare",
            "MAIN_ELECTRUM_URL": "wss://[::1]:50004/electrum/",
            "MAIN_ELECTRUM_PIN": colons,
            "SPARE_ELECTRUM_URL": "tcp://127.0.0.1:50001",
        },
        no_env,
    )
    assert [(node.name, node.electrum_url, node.electrum_pin) for node in config.electrum_nodes] == [
        ("main", "wss://[::1]:50004/electrum", "ab" * 32),
        ("spare", "tcp://127.0.0.1:50001", ""),
    ]
    assert not config.configured_nodes


def test_addresses_that_redis_serves_at_are_taken(no_env: Path) -> None:
    for url in (
        "redis://127.0.0.1",
        "redis://user:p%40ss@127.0.0.1:6379/1",
        "rediss://cache.example:6380",
        "rediss://u:p@[2001:db8::1]:6380/0?ssl_ca_certs=/etc/ca.pem",
        "redis://[::1]",
        "redis://[::1]:6379/2",
        "redis://[fe80::1%eth0]:6379",
        "redis://localhost:6379/",
        "redis://:p:a@ss@localhost:6379",
        "redis://h/0?username=a@b&password=c@d",
        "unix:///run/redis.sock",
        "unix://u:p%23@/run/redis.sock?db=1",
        "redis+cluster://u:p@[::1]:1,[::1]:2",
        "redis+cluster://a:1,b:2,c:3",
        "redis+sentinel://a:1,b:2/dashboard/0",
        "rediss+cluster://u:p@a:1,b:2?ssl_ca_certs=/etc/ca.pem",
        "rediss+sentinel://a:1,b:2/dashboard?sentinel_username=s&sentinel_password=p",
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
    with pytest.raises(ConfigError, match=r"\.env\.main, line 1: WEB_PORT has no value"):
        load({}, folder)
    (folder / ".env.main").write_bytes(b"WEB_HOST=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"\.env\.main"):
        load({}, folder)


def test_every_line_of_the_examples_is_a_setting(tmp_path: Path) -> None:
    """As soon as its comment sign is gone."""
    examples = Path(__file__).parents[2] / "env"
    names = set()
    for example in examples.glob(".env.*.example"):
        text = re.sub(r"^#(?=[A-Z_]+=)", "", example.read_text(), flags=re.MULTILINE)
        names |= set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE))
        write(tmp_path / "env", **{example.suffixes[0][1:]: text})
    config = load({"NODES": "main"}, tmp_path / "env")
    assert config.configured_nodes
    assert {"REDIS_URL", "ADMIN_PORT", "TRUSTED_PROXIES"} <= names
    assert config.admin_port is not None


def test_a_missing_folder_is_no_error(tmp_path: Path) -> None:
    assert read_files(tmp_path / "nothing") == {}


def test_a_wrong_value_in_a_file_is_named_as_in_the_environment(tmp_path: Path) -> None:
    folder = write(tmp_path / "env", main=f"MAIN_RPC_URL=http://a:{SECRET}@h\n")
    with pytest.raises(ConfigError, match=r"MAIN_RPC_URL='http://a:\*\*\*@h'"):
        load({}, folder)


def test_an_address_without_a_password_is_shown_as_it_is() -> None:
    assert mask_url("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/0"
    assert mask_url("redis://u@127.0.0.1") == "redis://u:***@127.0.0.1"
    assert mask_url("redis://::1:6379") == "redis://::1:6379"


@pytest.mark.parametrize("name", ["REDIS_URL", "MAIN_RPC_PASSWORD", "WEB_PORT"])
@pytest.mark.parametrize("after", ["horse #battery", "horse # battery", "\t#battery", " # battery"])
def test_a_value_that_a_comment_cuts_short_is_refused(tmp_path: Path, name: str, after: str) -> None:
    folder = write(tmp_path / "env", main=f"# a comment\n\nLOG_LEVEL=info\n\n  {name}={after}\n")
    with pytest.raises(ConfigError) as raised:
        load({}, folder)
    assert str(raised.value).startswith(f"{folder / '.env.main'}, line 5: what follows ' #' in {name}")
    assert f"{name}='...'" in str(raised.value)
    assert "battery" not in str(raised.value)


def test_a_number_sign_is_kept_where_it_is_meant(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "env",
        main="MAIN_RPC_URL=http://h\nMAIN_RPC_USER=a#b\nMAIN_RPC_PASSWORD='x #y' # quoted\nINSTANCE=\"p # q\"\n#end\n",
    )
    config = load({}, folder)
    assert (config.nodes[0].rpc_user, config.nodes[0].rpc_password, config.instance) == ("a#b", "x #y", "p # q")


def test_a_variable_that_is_set_twice_is_named_with_both_places(tmp_path: Path) -> None:
    folder = write(tmp_path / "env", main="WEB_PORT=1\nLOG_LEVEL=info\n\nWEB_PORT=2\n")
    with pytest.raises(ConfigError, match=r"WEB_PORT is set twice.*\.env\.main, line 1, and .*\.env\.main, line 4"):
        load({}, folder)
    folder = write(tmp_path / "env", main="WEB_PORT=1\nWEB_PORT=1\n", second="WEB_PORT=1\nLOG_LEVEL=info\n")
    assert load({}, folder).web_port == 1  # said twice, but the same
    write(tmp_path / "env", second="WEB_PORT=3\n")
    with pytest.raises(ConfigError, match=r"WEB_PORT is set twice.*\.env\.main, line 1, and .*\.env\.second, line 1"):
        load({"WEB_PORT": "4"}, folder)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("WEB_PROT=1", "WEB_PORT"),
        ("REDIS_URI=redis://h", "REDIS_URL"),
        ("MAIN_RCP_URL=http://h", "MAIN_RPC_URL"),
        ("MAIN_RPC_PASS=x", "MAIN_RPC_PASSWORD"),
        ("web_host=0.0.0.0", "WEB_HOST"),
    ],
)
def test_a_slip_in_a_name_is_pointed_out(tmp_path: Path, line: str, meant: str) -> None:
    folder = write(tmp_path / "env", main=f"LOG_LEVEL=info\n{line}\n")
    with pytest.raises(ConfigError, match=rf"main, line 2: .* is no variable of ours: did you mean {meant}\?"):
        load({}, folder)


def test_names_of_others_are_left_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "env", api="COINGECKO_API_KEY=k\n", spare="SPARE_RPC_URL=http://h:1\nBITCOIND=/b\n")
    load({"REDIS_URI": "of another program", "WEB_HOSTS": "x", "INSTANCE_ID": "y"}, folder)


@pytest.mark.parametrize("text", ["WEB_HOST='127.0.0.1\n", 'A="x" y\n', "=x\n"])
def test_a_line_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path / "env", main=f"LOG_LEVEL=info\n\n{text}")
    with pytest.raises(ConfigError, match=r"main, line 3 cannot be understood: expected NAME=VALUE"):
        load({}, folder)


def test_what_is_no_readable_text_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "env")
    (folder / ".env.main").write_bytes("WEB_PORT=1\n".encode("utf-16"))
    with pytest.raises(ConfigError, match=r"\.env\.main cannot be read: expected a text in UTF-8"):
        load({}, folder)
    (folder / ".env.main").unlink()
    (folder / ".env.main").mkdir()
    with pytest.raises(ConfigError, match=r"\.env\.main cannot be read: Is a directory"):
        load({}, folder)
    (folder / ".env.main").rmdir()
    (folder / ".env.main").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"\.env\.main cannot be read: No such file"):
        load({}, folder)
    (folder / ".env.main").unlink()
    (folder / ".env.main").write_bytes(b"\xef\xbb\xbfWEB_PORT=7\r\n")  # as Windows' Notepad saves it
    assert load({}, folder).web_port == 7


def test_an_address_is_printed_so_that_it_opens() -> None:
    shown = {host: web_url(listening_host("WEB_HOST", host), 80) for host in ("0.0.0.0", "::", "[::1]", "a-b.local")}
    assert shown == {
        "0.0.0.0": "http://127.0.0.1:80",
        "::": "http://[::1]:80",
        "[::1]": "http://[::1]:80",
        "a-b.local": "http://a-b.local:80",
    }


def test_the_secret_of_wallets(tmp_path: Path, no_env: Path) -> None:
    """From a variable or a file; never shown."""
    secret, file = "0123456789abcdef" * 2, tmp_path / "secret"
    file.write_text(f"{secret}\n")
    for variables in ({"WALLET_SECRET": secret}, {"WALLET_SECRET_FILE": str(file)}):
        config = load(variables, no_env)
        assert config.wallet_secret == secret
        assert secret not in repr(config)
    file.write_bytes(b"\xff" * 40)
    with pytest.raises(ConfigError, match="expected text"):
        load({"WALLET_SECRET_FILE": str(file)}, no_env)


def test_what_is_secret_may_stand_in_a_file(tmp_path: Path, no_env: Path) -> None:
    """So that it is in no environment, which every program of the same user may list."""
    file = tmp_path / "secret"
    file.write_text("redis://mempool:correct-horse@redis:6379/0\n")
    assert load({"REDIS_URL_FILE": str(file)}, no_env).redis_url == "redis://mempool:correct-horse@redis:6379/0"
    file.write_text("nonsense of correct-horse")
    with pytest.raises(ConfigError, match="REDIS_URL"):
        load({"REDIS_URL_FILE": str(file)}, no_env)
    file.write_text(f"{SECRET}\n")
    url, user = {"MAIN_RPC_URL": NODE["MAIN_RPC_URL"]}, {"MAIN_RPC_USER": "alice"}
    config = load({**url, **user, "MAIN_RPC_PASSWORD_FILE": str(file), "COINGECKO_API_KEY_FILE": str(file)}, no_env)
    assert (config.nodes[0].rpc_password, config.coingecko_api_key) == (SECRET, SECRET)
    assert SECRET not in repr(config)
    for name in ("REDIS_URL", "MAIN_RPC_PASSWORD", "COINGECKO_API_KEY"):
        with pytest.raises(ConfigError, match=f"{name} and {name}_FILE are both set"):
            load({**NODE, name: "redis://of.one", f"{name}_FILE": str(file)}, no_env)
        with pytest.raises(ConfigError, match=f"{name}_FILE='/nonexistent' cannot be read"):
            load({f"{name}_FILE": "/nonexistent"}, no_env)
