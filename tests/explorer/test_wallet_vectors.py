"""What wallets are made of, against the vectors of BIP 44, 49, 67, 84, 86, 380 to 386, 389 and SLIP-132."""

from __future__ import annotations

import pytest

from explorer.wallet import curve
from explorer.wallet.branches import Branch
from explorer.wallet.read import read
from explorer.wallet.refusal import NotAWallet
from shared.networks import NETWORKS
from shared.scripts import bip380
from shared.scripts.address import write
from support.each import each
from support.wallet_samples import (
    BIP_44,
    BIP_49,
    BIP_84,
    BIP_86,
    KEY,
    LONG,
    SIXTEEN,
    SLIP_49,
    X_ONLY,
    A,
    B,
    C,
    D,
    E,
    F,
    G,
)


def branches(text: str, network: str = "main") -> tuple[Branch, ...]:
    return read(text, network).branches


def scripts(text: str, count: int) -> list[str]:
    (branch,) = branches(text)
    return [branch.script(index).hex() for index in range(count)]


def why(text: str, network: str = "main") -> str:
    with pytest.raises(NotAWallet) as raised:
        read(text, network)
    return raised.value.refused.why


def test_the_library_is_the_native_one() -> None:
    assert curve.NATIVE


@pytest.mark.parametrize(
    ("key", "form", "network", "receive", "change"),
    [
        (BIP_44, "pkh", "main", ["1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA"], []),  # SLIP-132, BIP 44
        (SLIP_49, "sh(wpkh)", "main", ["37VucYSaXLCAsxYyAPfbSi9eh4iEcbShgf"], []),  # SLIP-132
        (BIP_49, "sh(wpkh)", "test", ["2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2"], []),  # BIP 49
        (
            BIP_84,
            "wpkh",
            "main",
            ["bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"],
            ["bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el"],
        ),
        (
            BIP_86,
            "tr",
            "main",
            [
                "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
                "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
            ],
            ["bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7"],
        ),
    ],
)
def test_accounts(key: str, form: str, network: str, receive: list[str], change: list[str]) -> None:
    found = {(branch.form, str(branch.role)): branch for branch in branches(key, network)}
    for role, expected in (("receive", receive), ("change", change)):
        branch = found[form, role]
        assert [write(branch.script(index), NETWORKS[network]) for index in range(len(expected))] == expected


def test_what_a_key_implies() -> None:
    """SLIP-132: ypub and zpub say what they are for; a plain key may stand for four things, unless its origin says."""
    assert [branch.form for branch in branches(SLIP_49)] == ["sh(wpkh)"] * 2
    assert [branch.form for branch in branches(BIP_84)] == ["wpkh"] * 2
    forms = ["pkh", "sh(wpkh)", "wpkh", "tr"]
    assert [branch.form for branch in branches(BIP_86)] == [form for form in forms for _ in range(2)]
    assert [(b.form, b.role, b.path(7)) for b in read(BIP_86, "main", "tr").branches] == [
        ("tr", "receive", "0/7"),
        ("tr", "change", "1/7"),
    ]
    for purpose, form in zip((44, 49, 84, 86), forms, strict=True):
        assert [branch.form for branch in branches(f"[73c5da0a/{purpose}h/0h/0h]{BIP_86}")] == [form] * 2
    assert [branch.form for branch in branches(f"[73c5da0a/86h/0h/0h]{BIP_86}/0/*")] == ["tr"]
    assert [b.script(0) for b in branches(f"wpkh({BIP_84}/0/*)")] == [branches(BIP_84)[0].script(0)]


@pytest.mark.parametrize(
    ("descriptor", "expected"),
    [
        # BIP 381
        (f"pk({KEY})", [f"21{KEY}ac"]),
        (f"pk({LONG})", [f"41{LONG}ac"]),
        (f"pkh([deadbeef/1/2'/3/4']{KEY})", ["76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac"]),
        (f"pkh([deadbeef/1/2h/3/4h]{KEY})", ["76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac"]),
        (f"pkh({LONG})", ["76a914b5bd079c4d57cc7fc28ecf8213a6b791625b818388ac"]),
        (f"sh(pk({KEY}))", ["a9141857af51a5e516552b3086430fd8ce55f7c1a52487"]),
        (f"sh(pkh({KEY}))", ["a9141a31ad23bf49c247dd531a623c2ef57da3c400c587"]),
        (f"pkh([bd16bee5/2147483647h]{F}/0)", ["76a914ebdc90806a9c4356c1c88e42216611e1cb4c1c1788ac"]),
        (f"pk({B}/0)", ["210379e45b3cf75f9c5f9befd8e9506fb962f6a9d185ac87001ec44a8d3df8d4a9e3ac"]),
        # BIP 382
        (f"wpkh({KEY})", ["00149a1c78a507689f6f54b847ad1cef1e614ee23f1e"]),
        (
            f"wpkh([ffffffff/13']{D}/1/2/*)",
            [
                "0014326b2249e3a25d5dc60935f044ee835d090ba859",
                "0014af0bd98abc2f2cae66e36896a39ffe2d32984fb7",
                "00141fa798efd1cbf95cebf912c031b8a4a6e9fb9f27",
            ],
        ),
        (f"wsh(pkh({KEY}))", ["0020338e023079b91c58571b20e602d7805fb808c22473cbc391a41b1bd3a192e75b"]),
        (f"wsh(pk({KEY}))", ["00202e271faa2325c199d25d22e1ead982e45b64eeb4f31e73dbdf41bd4b5fec23fa"]),
        (f"sh(wsh(pkh({KEY})))", ["a914b61b92e2ca21bac1e72a3ab859a742982bea960a87"]),
        # BIP 383
        (f"multi(1,{KEY},{LONG})", [f"5121{KEY}41{LONG}52ae"]),
        (f"sortedmulti(1,{LONG},{KEY})", [f"5121{KEY}41{LONG}52ae"]),
        (
            f"sortedmulti(2,{A}/*,{B}/0/0/*)",
            [
                "5221025d5fc65ebb8d44a5274b53bac21ff8307fec2334a32df05553459f8b1f7fe1b6"
                "2102fbd47cc8034098f0e6a94c6aeee8528abf0a2153a5d8e46d325b7284c046784652ae",
                "52210264fd4d1f5dea8ded94c61e9641309349b62f27fbffe807291f664e286bfbe647"
                "2103f4ece6dfccfa37b211eb3d0af4d0c61dba9ef698622dc17eecdf764beeb005a652ae",
                "5221022ccabda84c30bad578b13c89eb3b9544ce149787e5b538175b1d1ba259cbb833"
                "21024d902e1a2fc7a8755ab5b694c575fce742c48d9ff192e63df5193e4c7afe1f9c52ae",
            ],
        ),
        (f"sh(multi(2,[00000000/111'/222]{A},{B}/0))", ["a91445a9a622a8b0a1269944be477640eedc447bbd8487"]),
        (f"sh(wsh(multi(16,{SIXTEEN})))", ["a9147fc63e13dc25e8a95a3cee3d9a714ac3afd96f1e87"]),
        # BIP 385
        ("raw(512103a34b)", ["512103a34b"]),
        # BIP 386
        (f"tr({X_ONLY})", ["512077aab6e066f8a7419c5ab714c12c67d25007ed55a43cadcacb4d7a970a093f11"]),
        (
            f"tr({A}/0/*,pk({A}/1/*))",
            [
                "512078bc707124daa551b65af74de2ec128b7525e10f374dc67b64e00ce0ab8b3e12",
                "512001f0a02a17808c20134b78faab80ef93ffba82261ccef0a2314f5d62b6438f11",
                "512021024954fcec88237a9386fce80ef2ced5f1e91b422b26c59ccfc174c8d1ad25",
            ],
        ),
        (
            f"tr({X_ONLY},pk(669b8afcec803a0d323e9a17f3ea8e68e8abe5a278020a929adbec52421adbd0))",
            ["512017cf18db381d836d8923b1bdb246cfcd818da1a9f0e6e7907f187f0b2f937754"],
        ),
    ],
)
def test_descriptors(descriptor: str, expected: list[str]) -> None:
    assert scripts(descriptor, len(expected)) == expected


def test_combo() -> None:
    """BIP 384: all that one key may stand for; of an uncompressed one only the old ones."""
    expected = {
        "pk": f"21{KEY}ac",
        "pkh": "76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac",
        "wpkh": "00149a1c78a507689f6f54b847ad1cef1e614ee23f1e",
        "sh(wpkh)": "a91484ab21b1b2fd065d4504ff693d832434b6108d7b87",
    }
    assert {branch.form: branch.script(0).hex() for branch in branches(f"combo({KEY})")} == expected
    assert {branch.form: branch.script(0).hex() for branch in branches(f"combo({LONG})")} == {
        "pk": f"41{LONG}ac",
        "pkh": "76a914b5bd079c4d57cc7fc28ecf8213a6b791625b818388ac",
    }


@pytest.mark.parametrize(
    ("keys", "script", "address"),
    [
        (
            "02ff12471208c14bd580709cb2358d98975247d8765f92bc25eab3b2763ed605f8,"
            "02fe6f0a5a297eb38c391581c4413e084773ea23954d93f7753db7dc0adc188b2f",
            "522102fe6f0a5a297eb38c391581c4413e084773ea23954d93f7753db7dc0adc188b2f"
            "2102ff12471208c14bd580709cb2358d98975247d8765f92bc25eab3b2763ed605f852ae",
            "39bgKC7RFbpoCRbtD5KEdkYKtNyhpsNa3Z",
        ),
        (
            "02632b12f4ac5b1d1b72b2a3b508c19172de44f6f46bcee50ba33f3f9291e47ed0,"
            "027735a29bae7780a9755fae7a1c4374c656ac6a69ea9f3697fda61bb99a4f3e77,"
            "02e2cc6bd5f45edd43bebe7cb9b675f0ce9ed3efe613b177588290ad188d11b404",
            "522102632b12f4ac5b1d1b72b2a3b508c19172de44f6f46bcee50ba33f3f9291e47ed0"
            "21027735a29bae7780a9755fae7a1c4374c656ac6a69ea9f3697fda61bb99a4f3e77"
            "2102e2cc6bd5f45edd43bebe7cb9b675f0ce9ed3efe613b177588290ad188d11b40453ae",
            "3CKHTjBKxCARLzwABMu9yD85kvtm7WnMfH",
        ),
        (
            "022df8750480ad5b26950b25c7ba79d3e37d75f640f8e5d9bcd5b150a0f85014da,"
            "03e3818b65bcc73a7d64064106a859cc1a5a728c4345ff0b641209fba0d90de6e9,"
            "021f2f6e1e50cb6a953935c3601284925decd3fd21bc445712576873fb8c6ebc18",
            "5221021f2f6e1e50cb6a953935c3601284925decd3fd21bc445712576873fb8c6ebc18"
            "21022df8750480ad5b26950b25c7ba79d3e37d75f640f8e5d9bcd5b150a0f85014da"
            "2103e3818b65bcc73a7d64064106a859cc1a5a728c4345ff0b641209fba0d90de6e953ae",
            "3Q4sF6tv9wsdqu2NtARzNCpQgwifm2rAba",
        ),
    ],
)
def test_keys_in_order(keys: str, script: str, address: str) -> None:
    """BIP 67. Its third vector has four keys, which bare multisig does not relay: in P2SH alone."""
    assert scripts(f"sortedmulti(2,{keys})", 1) == [script]
    (branch,) = branches(f"sh(sortedmulti(2,{keys}))")
    assert write(branch.script(0), NETWORKS["main"]) == address


@pytest.mark.parametrize(
    ("descriptor", "expands"),
    [
        (f"pk({B}/<0;1>)", [f"pk({B}/0)", f"pk({B}/1)"]),
        (
            f"wpkh([ffffffff/13h]{D}/<1;3>/2/*)",
            [f"wpkh([ffffffff/13h]{D}/1/2/*)", f"wpkh([ffffffff/13h]{D}/3/2/*)"],
        ),
        (
            f"multi(2,{A}/<1;2>/*,{B}/<3;4>/0/*)",
            [f"multi(2,{A}/1/*,{B}/3/0/*)", f"multi(2,{A}/2/*,{B}/4/0/*)"],
        ),
        (f"pkh({E}/<0;1;2>)", [f"pkh({E}/0)", f"pkh({E}/1)", f"pkh({E}/2)"]),
        (
            f"sh(multi(2,{A}/<1;2;3>/0/*,{B}/0/*,{C}/0/0/<3;4;5>/*))",
            [f"sh(multi(2,{A}/{one}/0/*,{B}/0/*,{C}/0/0/{other}/*))" for one, other in ((1, 3), (2, 4), (3, 5))],
        ),
    ],
)
def test_multipath(descriptor: str, expands: list[str]) -> None:
    """BIP 389: the first is for receiving, the second for change."""
    found = branches(descriptor)
    assert [branch.role for branch in found] == ["receive", "change", "other"][: len(found)]
    for branch, single in zip(found, expands, strict=True):
        (alone,) = branches(single)
        assert each(
            branch.script(index) == alone.script(index) for index in (0, 1, 2) if branch.count is None or not index
        )


@pytest.mark.parametrize(
    ("descriptor", "reason"),
    [
        # BIP 381
        (f"pk(pk({KEY}))", "key-form"),
        (f"pkh(pk({KEY}))", "key-form"),
        (f"sh({KEY})", "syntax"),
        (f"sh(sh(pkh({KEY})))", "not-here"),
        # BIP 382
        (f"wpkh({LONG})", "key-form"),
        (f"sh(wpkh({LONG}))", "key-form"),
        (f"wsh(pk({LONG}))", "key-form"),
        (f"wsh(wpkh({KEY}))", "not-here"),
        (f"wsh(wsh(pkh({KEY})))", "not-here"),
        (f"sh(wsh(wsh(pkh({KEY}))))", "not-here"),
        (f"wpkh(wsh(pkh({KEY})))", "key-form"),
        (f"wsh({KEY})", "miniscript"),
        # BIP 383
        (f"sh(multi(16,{SIXTEEN}))", "threshold"),
        (f"multi(a,{KEY},{LONG})", "syntax"),
        (f"multi(0,{KEY},{LONG})", "threshold"),
        (f"multi(3,{KEY},{LONG})", "threshold"),
        # BIP 386
        (f"tr({LONG})", "key-form"),
        (f"wsh(tr({X_ONLY}))", "not-here"),
        (f"sh(tr({X_ONLY}))", "not-here"),
        # BIP 389
        (f"pkh({E}/<0;1>/<2;3>)", "path"),
        (f"pkh([deadbeef/<0;1>]{E}/0)", "path"),
        (f"tr({G}/<6;7;8;9>/*,{{pk({A}/<1;2;3>/0/*),pk({C}/0/0/<3;4;5>/*)}})", "multipath"),
        (f"sh(multi(2,{A}/<1;2;3>/0/*,{B}/0/*,{C}/0/0/<3;4>/*))", "multipath"),
        (f"wpkh({E}/<>/*)", "path"),
        (f"wpkh({E}/0>/*)", "path"),
        (f"wpkh({E}/<0/*)", "path"),
        (f"wpkh({E}/<0;>/*)", "path"),
        (f"wpkh({E}/<0;0>/*)", "multipath"),
        # BIP 380: origins
        (f"pk([deadbeef/0h/0h/0h/*]{KEY})", "path"),
        (f"pk([deadbeef/0h/0h/0h/]{KEY})", "path"),
        (f"pk([deadbef/0h/0h/0h]{KEY})", "path"),
        (f"pk([deadbeeef/0h/0h/0h]{KEY})", "path"),
        (f"pk([deadbeef/0f/0f/0f]{KEY})", "path"),
        (f"pk([deadbeef/0h/0h/0h{KEY})", "path"),
        (f"pk(deadbeef/0h/0h/0h]{KEY})", "key-form"),
        (f"pk([deadbeef]{A}/3h/4/5/*)", "hardened"),
        (f"pk([deadbeef]{A}/3/4/5/*h)", "hardened"),
        (f"pk({A}/2147483648)", "path"),
        (f"pk({A}/*/1)", "path"),
        (f"pk({KEY}/0)", "key-form"),
    ],
)
def test_what_the_vectors_call_invalid(descriptor: str, reason: str) -> None:
    assert why(descriptor) == reason


def test_checksums() -> None:
    """BIP 380."""
    assert scripts("raw(deadbeef)#89f8spxm", 1) == scripts("raw(deadbeef)", 1) == ["deadbeef"]
    assert why("raw(deadbeef)#") == "descriptor-checksum-length"
    assert why("raw(deadbeef)#89f8spxmx") == "descriptor-checksum-length"
    assert why("raw(deadbeef)#89f8spx") == "descriptor-checksum-length"
    assert why("raw(deedbeef)#89f8spxm") == "descriptor-checksum"
    assert why("raw(deedbeef)##9f8spxm") == "descriptor-checksum"
    assert why("raw(Ü)#00000000") == "descriptor-character"
    assert bip380.checksum("raw(deadbeef)") == "89f8spxm"
