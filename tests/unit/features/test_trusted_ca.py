"""trusted_ca: whom a guest trusts."""

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest
from tests.unit.features.test_acme_ca import PEM, of, using

from phoenix_hypervisor.features.trusted_ca import TrustedCa, TrustedCaOptions


def test_the_authority_that_is_named_or_the_only_one() -> None:
    authority = using(1, "ca", "acme_ca")
    client = guest(2, "client", dependencies=(authority.address,))
    wanted = of(authority, client)
    for options in (TrustedCaOptions(), TrustedCaOptions.model_validate({"from": 1})):
        assert not TrustedCa().flaws(options, client, wanted)
        found = TrustedCa().inputs(options, client, wanted)
        assert found["authority"]["root"] == "http://10.0.0.1/root.pem"
        assert TrustedCa().reaches(options, client, wanted) == [(authority.address, None)]


def test_certificates_alone_ask_nobody() -> None:
    client = guest(2, "client")
    options = TrustedCaOptions(certificates=(PEM, "roots/lab.pem"))
    assert TrustedCa().inputs(options, client, desired(client)) == {"authority": None}
    assert not TrustedCa().flaws(options, client, desired(client))
    assert not TrustedCa().reaches(options, client, desired(client))
    folder = desired(client).folder
    assert TrustedCa().files(options, client, folder) == [folder / "roots/lab.pem"]


def test_what_can_not_be() -> None:
    client = guest(2, "client")
    [flaw] = TrustedCa().flaws(TrustedCaOptions(), client, desired(client))
    assert "no guest is a certificate authority" in flaw.message
    for bad in ({"fingerprint": "xyz"}, {"certificates": ["../root.pem"]}):
        with pytest.raises(ValidationError):
            TrustedCaOptions.model_validate(bad)
