"""The .proto files compile, and a few numbers that the wire depends on are what the standards say."""

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from actors.store.sealing.kms.messages import describe

PROTOS = Path(__file__).parents[3] / "protos"


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory):
    out = tmp_path_factory.mktemp("protos") / "all.desc"
    names = sorted(path.name for path in PROTOS.glob("*.proto"))
    include = Path(protoc.__file__).parent / "_proto"
    code = protoc.main(["protoc", f"-I{PROTOS}", f"-I{include}", f"--descriptor_set_out={out}", *names])
    assert code == 0
    files = FileDescriptorSet.FromString(out.read_bytes()).file
    return {file.name: file for file in files}


def number_of(file, message, field):
    found = next(m for m in file.message_type if m.name == message)
    return next(f.number for f in found.field if f.name == field)


@pytest.mark.parametrize(
    ("file", "package", "service"),
    [
        ("cri_v1.proto", "runtime.v1", "RuntimeService"),
        ("csi_v1.proto", "csi.v1", "Node"),
        ("deviceplugin_v1beta1.proto", "v1beta1", "DevicePlugin"),
        ("pluginregistration_v1.proto", "pluginregistration", "Registration"),
        ("podresources_v1.proto", "v1", "PodResourcesLister"),
        ("dra_v1.proto", "k8s.io.kubelet.pkg.apis.dra.v1", "DRAPlugin"),
        ("etcd_v3.proto", "etcdserverpb", "KV"),
        ("kms_v2.proto", "v2", "KeyManagementService"),
    ],
)
def test_services_have_their_wire_names(descriptors, file, package, service):
    assert descriptors[file].package == package
    assert service in {found.name for found in descriptors[file].service}


def test_a_few_field_numbers(descriptors):
    assert number_of(descriptors["cri_v1.proto"], "AuthConfig", "registry_token") == 6
    assert number_of(descriptors["cri_v1.proto"], "Container", "labels") == 8
    assert number_of(descriptors["deviceplugin_v1beta1.proto"], "ContainerAllocateResponse", "annotations") == 4


def test_our_messages_are_those_of_the_file(descriptors):
    def shape(message):
        fields = sorted((f.number, f.name, f.type, f.label, f.type_name) for f in message.field)
        return message.name, fields, [shape(nested) for nested in message.nested_type]

    ours, theirs = describe(), descriptors["kms_v2.proto"]
    assert [shape(message) for message in ours.message_type] == [shape(m) for m in theirs.message_type]
    assert [method.name for method in theirs.service[0].method] == ["Status", "Decrypt", "Encrypt"]
