use bytes::Bytes;
use serde_json::json;

use crate::config::ParserId;
use crate::error::ConnectError;
use crate::handshake::Revision;
use crate::link::Outgoing;
use crate::members::encode::{Answer, Encoder};
use crate::socketio::{self, Args, Encoding, PacketLimits};

const JSON: Encoder<'static> = Encoder {
    parser: ParserId::JSON,
    encoding: &Encoding::Json,
};

fn text(packet: &Outgoing) -> String {
    let mut body = Vec::new();
    packet.frame.push_polling(&mut body);
    String::from_utf8(body).unwrap()
}

#[test]
fn packets_have_the_texts_of_the_protocol() {
    assert_eq!(
        text(
            &JSON
                .event("/", None, "a", &(1, "b"), PacketLimits::NONE)
                .unwrap()
        ),
        r#"42["a",1,"b"]"#
    );
    assert_eq!(
        text(
            &JSON
                .event("/x", Some(7), "a", &(), PacketLimits::NONE)
                .unwrap()
        ),
        r#"42/x,7["a"]"#
    );
    let Answer::Value(ack) = JSON.ack("/", 3, &"ok", PacketLimits::NONE).unwrap() else {
        panic!("a value is no error")
    };
    assert_eq!(text(&ack), r#"433["ok"]"#);
    assert_eq!(
        text(&JSON.ack_error("/", 3, "1", None)),
        r#"433[{"error":1}]"#
    );
    assert_eq!(
        text(&JSON.connect(Revision::V4, "/", "abc", None)),
        r#"40{"sid":"abc"}"#
    );
    assert_eq!(text(&JSON.disconnect("/x")), "41/x,");
    let refused = ConnectError::new("no").with_data(serde_json::json!({ "a": 1 }));
    assert_eq!(
        text(&JSON.connect_error(Revision::V4, "/", &refused)),
        r#"44{"message":"no","data":{"a":1}}"#
    );
}

#[test]
fn older_clients_get_neither_sid_nor_message() {
    let pid = Some("def");
    assert_eq!(text(&JSON.connect(Revision::V3, "/", "abc", pid)), "40");
    let refused = ConnectError::new("no");
    let error = |refused: &_| text(&JSON.connect_error(Revision::V3, "/x", refused));
    assert_eq!(error(&refused), r#"44/x,"no""#);
    let refused = refused.with_data(serde_json::json!({ "a": 1 }));
    assert_eq!(error(&refused), r#"44/x,{"a":1}"#);
}

#[test]
fn bytes_become_attachments_that_are_counted_in_the_head() {
    let packet = JSON
        .event(
            "/",
            None,
            "a",
            &(Bytes::from_static(&[1]), 2),
            PacketLimits::NONE,
        )
        .unwrap();
    assert_eq!(
        text(&packet),
        r#"451-["a",{"_placeholder":true,"num":0},2]"#
    );
    assert_eq!(packet.attached().len(), 1);
}

#[test]
fn reserved_names_are_refused() {
    let error = JSON
        .event("/", None, "disconnect", &(), PacketLimits::NONE)
        .unwrap_err();
    assert_eq!(error.to_string(), r#"event name "disconnect" is reserved"#);
}

#[test]
fn an_err_is_encoded_as_an_error() {
    let answer = JSON
        .ack("/", 1, &Err::<(), _>("no"), PacketLimits::NONE)
        .unwrap();
    assert!(matches!(answer, Answer::Error(json) if json == r#""no""#));
}

fn packed(write: impl FnOnce(Encoder<'_>) -> Outgoing) -> String {
    let encoding = Encoding::MessagePack(socketio::MessagePackParser::new().limits);
    let encoder = Encoder {
        parser: ParserId(1),
        encoding: &encoding,
    };
    let packet = write(encoder);
    assert!(packet.attached().is_empty());
    assert_eq!(packet.parser(), ParserId(1));
    let data = packet.frame.binary_data().unwrap();
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes are those of the parser of the Node.js server.
#[test]
fn messagepack_has_the_bytes_of_the_reference() {
    let limits = PacketLimits::NONE;
    let binary = Bytes::from_static(&[1, 2]);
    let event = |encoder: Encoder<'_>| {
        let data = ("hi", 1, 1.5, true, None::<u8>, &binary);
        encoder.event("/", None, "hi", &data, limits).unwrap()
    };
    assert_eq!(
        packed(event),
        "83a47479706502a46461746197a26869a2686901cb3ff8000000000000c3c0c4020102a36e7370a12f"
    );
    let event = |encoder: Encoder<'_>| encoder.event("/", Some(3), "hi", &(), limits).unwrap();
    assert_eq!(
        packed(event),
        "84a47479706502a46461746191a26869a36e7370a12fa2696403"
    );
    let ack = |encoder: Encoder<'_>| match encoder.ack("/", 3, &1, limits).unwrap() {
        Answer::Value(packet) => packet,
        Answer::Error(error) => panic!("{error}"),
    };
    assert_eq!(
        packed(ack),
        "84a2696403a47479706503a4646174619101a36e7370a12f"
    );
    assert_eq!(
        packed(|encoder| encoder.disconnect("/")),
        "82a47479706501a36e7370a12f"
    );
    let connect = |encoder: Encoder<'_>| encoder.connect(Revision::V4, "/", "abc", None);
    assert_eq!(
        packed(connect),
        "83a47479706500a46461746181a3736964a3616263a36e7370a12f"
    );
    let error = ConnectError::new("Invalid namespace");
    let refused = |encoder: Encoder<'_>| encoder.connect_error(Revision::V4, "/x", &error);
    assert_eq!(
        packed(refused),
        "83a47479706504a36e7370a22f78a46461746181a76d657373616765b1496e76616c6964206e616d657370616365"
    );
}

#[test]
fn an_event_is_decoded_to_what_was_encoded() {
    let encoding = Encoding::MessagePack(socketio::MessagePackParser::new().limits);
    let (namespace, name) = ("/x", "a\"b");
    let data = (1, Bytes::from_static(&[7]), json!({ "a": [null] }));
    for encoding in [&Encoding::Json, &encoding] {
        let encoder = Encoder {
            parser: ParserId(1),
            encoding,
        };
        let packet = encoder.event(namespace, Some(9), name, &data, PacketLimits::NONE);
        let event = encoder.decoded(&packet.unwrap()).unwrap();
        assert_eq!(event.id, Some(9));
        assert_eq!(
            event.list,
            Args::from_value(&data).unwrap().preceded_by(name)
        );
        let again = encoder.relayed(namespace, event.id, &event.list).unwrap();
        assert_eq!(encoder.decoded(&again).unwrap().list, event.list);
    }
}
