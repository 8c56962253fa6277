use super::*;
use crate::pool::statement::Statements;
use crate::wire::backend::TransactionStatus::{Failed, Idle, InTransaction};

fn sent(kinds: &[Kind]) -> Replies {
    let mut replies = Replies::default();
    for &kind in kinds {
        send(&mut replies, kind);
    }
    replies
}

fn send(replies: &mut Replies, kind: Kind) {
    assert!(replies.expect(kind, Delivery::Forward, None).is_none());
}

fn note(about: About) -> Note {
    Note {
        statement: Statements::default().intern(b"select 1\0\0\0", "", false),
        about,
    }
}

#[test]
fn a_simple_query_is_settled_by_its_ready_for_query() {
    let mut replies = sent(&[Kind::Query]);
    for tag in [Tag::RowDescription, Tag::DataRow, Tag::CommandComplete] {
        assert_eq!(replies.answered(tag), Ok(Action::Forward));
        assert!(!replies.is_settled());
    }
    assert_eq!(replies.ready(Idle), Ok(Action::Forward));
    assert!(replies.is_settled());
}

#[test]
fn a_transaction_is_answered_but_not_settled() {
    for status in [InTransaction, Failed] {
        let mut replies = sent(&[Kind::Query]);
        replies.ready(status).unwrap();
        assert!(replies.is_answered());
        assert!(!replies.is_settled());
    }
}

#[test]
fn a_pipeline_is_not_settled_before_its_last_sync_is_answered() {
    let once = [Kind::Parse, Kind::Bind, Kind::Execute, Kind::Sync];
    let mut replies = sent(&[once, once].concat());
    for last in [false, true] {
        for tag in [
            Tag::ParseComplete,
            Tag::BindComplete,
            Tag::DataRow,
            Tag::CommandComplete,
        ] {
            replies.answered(tag).unwrap();
        }
        replies.ready(Idle).unwrap();
        assert_eq!(replies.is_settled(), last);
    }
}

#[test]
fn messages_without_a_sync_keep_the_server() {
    let mut replies = sent(&[Kind::Parse]);
    replies.flushed();
    replies.answered(Tag::ParseComplete).unwrap();
    assert!(!replies.is_settled());
    send(&mut replies, Kind::Sync);
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn after_an_error_everything_up_to_the_sync_goes_unanswered() {
    let mut replies = sent(&[Kind::Parse, Kind::Bind, Kind::Execute, Kind::Query]);
    assert_eq!(replies.failed(&mut Vec::new(), false), Action::Forward);
    send(&mut replies, Kind::Query); // skipped as well
    assert!(!replies.is_settled());
    send(&mut replies, Kind::Sync);
    assert_eq!(replies.ready(Idle), Ok(Action::Forward));
    assert!(replies.is_settled());
}

#[test]
fn an_error_skips_only_to_the_next_sync() {
    let mut replies = sent(&[
        Kind::Bind,
        Kind::Execute,
        Kind::Sync,
        Kind::Bind,
        Kind::Execute,
        Kind::Sync,
    ]);
    replies.failed(&mut Vec::new(), false);
    replies.ready(Idle).unwrap();
    assert_eq!(replies.answered(Tag::BindComplete), Ok(Action::Forward));
    assert_eq!(replies.answered(Tag::CommandComplete), Ok(Action::Forward));
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn an_error_of_the_commit_itself_leaves_the_sync_owed() {
    let mut replies = sent(&[Kind::Sync]);
    replies.failed(&mut Vec::new(), false);
    assert!(!replies.is_settled());
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn an_inserted_reply_waits_for_its_turn() {
    let mut replies = sent(&[Kind::Bind]);
    assert!(
        replies
            .expect(Kind::Parse, Delivery::Insert, None)
            .is_none()
    );
    assert!(replies.next_insert().is_none());
    replies.answered(Tag::BindComplete).unwrap();
    assert!(matches!(replies.next_insert(), Some((Kind::Parse, None))));
    assert!(replies.next_insert().is_none());
}

#[test]
fn a_swallowed_reply_is_dropped_and_the_next_is_not() {
    let mut replies = Replies::default();
    assert!(
        replies
            .expect(Kind::Parse, Delivery::Swallow, Some(note(About::Injected)))
            .is_none()
    );
    send(&mut replies, Kind::Bind);
    assert_eq!(replies.answered(Tag::ParseComplete), Ok(Action::Swallow));
    assert_eq!(replies.answered(Tag::BindComplete), Ok(Action::Forward));
}

#[test]
fn what_an_error_skips_is_handed_back_to_be_undone() {
    let mut replies = sent(&[Kind::Bind]);
    let named = About::Named((*b"a").into());
    assert!(
        replies
            .expect(Kind::Parse, Delivery::Forward, Some(note(named.clone())))
            .is_none()
    );
    let closed = About::Closed((*b"b").into());
    assert!(
        replies
            .expect(Kind::Close, Delivery::Insert, Some(note(closed.clone())))
            .is_none()
    );
    let mut skipped = Vec::new();
    replies.failed(&mut skipped, false);
    let about: Vec<_> = skipped.into_iter().map(|note| note.about).collect();
    assert_eq!(about, [named, closed]);
    assert!(replies.next_insert().is_none());
    let later = replies.expect(Kind::Parse, Delivery::Insert, Some(note(About::Injected)));
    assert!(later.is_some(), "what comes before the Sync is skipped too");
}

#[test]
fn an_answered_note_is_not_handed_back_later() {
    let mut replies = Replies::default();
    assert!(
        replies
            .expect(Kind::Parse, Delivery::Forward, Some(note(About::Injected)))
            .is_none()
    );
    replies.answered(Tag::ParseComplete).unwrap();
    send(&mut replies, Kind::Bind);
    let mut skipped = Vec::new();
    replies.failed(&mut skipped, false);
    assert!(skipped.is_empty());
}

#[test]
fn a_sync_sent_before_copy_in_was_announced_earns_nothing() {
    let mut replies = sent(&[Kind::Bind, Kind::Execute, Kind::Sync]);
    replies.answered(Tag::BindComplete).unwrap();
    replies.answered(Tag::CopyInResponse).unwrap();
    assert!(replies.awaits_client());
    replies.copy_ended();
    replies.answered(Tag::CommandComplete).unwrap();
    assert!(!replies.is_settled());
    send(&mut replies, Kind::Sync);
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn a_simple_copy_in_is_settled_by_its_ready_for_query() {
    let mut replies = sent(&[Kind::Query]);
    replies.answered(Tag::CopyInResponse).unwrap();
    replies.copy_ended();
    assert!(!replies.is_settled());
    replies.answered(Tag::CommandComplete).unwrap();
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn a_copy_in_that_fails_ignores_the_late_end_of_its_data() {
    let mut replies = sent(&[Kind::Query]);
    replies.answered(Tag::CopyInResponse).unwrap();
    replies.failed(&mut Vec::new(), false);
    replies.copy_ended();
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn a_sync_in_the_middle_of_copy_in_earns_no_reply() {
    let mut replies = sent(&[Kind::Execute]);
    replies.answered(Tag::CopyInResponse).unwrap();
    send(&mut replies, Kind::Sync);
    replies.copy_ended();
    send(&mut replies, Kind::Sync);
    replies.answered(Tag::CommandComplete).unwrap();
    assert!(!replies.is_quiet());
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn a_sync_in_the_middle_of_copy_in_leaves_a_doubt_if_the_copy_fails() {
    let mut replies = sent(&[Kind::Execute]);
    replies.answered(Tag::CopyInResponse).unwrap();
    send(&mut replies, Kind::Sync);
    replies.failed(&mut Vec::new(), false);
    assert_eq!(replies.ready(Idle), Ok(Action::Forward));
    assert!(replies.is_quiet() && !replies.is_settled());
}

#[test]
fn copy_both_keeps_the_server_for_good() {
    let mut replies = sent(&[Kind::Query]);
    replies.answered(Tag::CopyBothResponse).unwrap();
    replies.answered(Tag::CopyData).unwrap();
    assert!(!replies.is_quiet());
}

#[test]
fn a_reply_that_nobody_asked_for_is_an_error() {
    let mut replies = Replies::default();
    assert_eq!(
        replies.answered(Tag::DataRow),
        Err(Unexpected(Tag::DataRow))
    );
    assert_eq!(replies.ready(Idle), Err(Unexpected(Tag::ReadyForQuery)));
    let mut replies = sent(&[Kind::Bind, Kind::Sync]);
    assert_eq!(
        replies.answered(Tag::ParseComplete),
        Err(Unexpected(Tag::ParseComplete))
    );
    assert_eq!(replies.ready(Idle), Err(Unexpected(Tag::ReadyForQuery)));
}

#[test]
fn notices_come_at_any_time() {
    for tag in [
        Tag::NoticeResponse,
        Tag::NotificationResponse,
        Tag::ParameterStatus,
    ] {
        assert_eq!(Replies::default().answered(tag), Ok(Action::Forward));
    }
}

#[test]
fn a_suspended_portal_ends_its_execute_and_nothing_else() {
    let mut replies = sent(&[Kind::Execute]);
    replies.flushed();
    replies.answered(Tag::DataRow).unwrap();
    replies.answered(Tag::PortalSuspended).unwrap();
    assert!(!replies.is_settled(), "no Sync was sent");
    send(&mut replies, Kind::Execute);
    replies.answered(Tag::CommandComplete).unwrap();
    send(&mut replies, Kind::Sync);
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn copy_data_may_come_before_the_server_has_asked_for_it() {
    let mut replies = sent(&[Kind::Parse, Kind::Bind, Kind::Execute]);
    replies.copy_ended();
    send(&mut replies, Kind::Sync);
    replies.answered(Tag::ParseComplete).unwrap();
    replies.answered(Tag::BindComplete).unwrap();
    replies.answered(Tag::CopyInResponse).unwrap();
    assert!(!replies.awaits_client(), "it has all the data");
    replies.answered(Tag::CommandComplete).unwrap();
    assert!(!replies.is_settled());
    assert_eq!(replies.ready(Idle), Ok(Action::Forward));
    assert!(replies.is_settled());
}

#[test]
fn several_copies_may_be_in_one_pipeline_each_with_its_data() {
    let copy = |replies: &mut Replies| {
        send(replies, Kind::Bind);
        send(replies, Kind::Execute);
        replies.copy_ended();
    };
    let mut replies = Replies::default();
    copy(&mut replies);
    copy(&mut replies);
    send(&mut replies, Kind::Sync);
    for _ in 0..2 {
        replies.answered(Tag::BindComplete).unwrap();
        replies.answered(Tag::CopyInResponse).unwrap();
        replies.answered(Tag::CommandComplete).unwrap();
    }
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn one_query_may_copy_twice_with_all_the_data_behind_it() {
    let mut replies = sent(&[Kind::Query]);
    replies.copy_ended();
    replies.copy_ended();
    for _ in 0..2 {
        replies.answered(Tag::CopyInResponse).unwrap();
        assert!(!replies.awaits_client());
        replies.answered(Tag::CommandComplete).unwrap();
    }
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn an_end_of_copy_data_without_a_copy_is_nothing() {
    for kinds in [&[Kind::Query][..], &[Kind::Bind, Kind::Execute, Kind::Sync]] {
        let mut replies = sent(kinds);
        replies.copy_ended();
        for kind in kinds {
            match kind {
                Kind::Bind => drop(replies.answered(Tag::BindComplete).unwrap()),
                Kind::Execute => drop(replies.answered(Tag::CommandComplete).unwrap()),
                Kind::Close
                | Kind::CopyEnd
                | Kind::Describe
                | Kind::FunctionCall
                | Kind::Parse
                | Kind::ParseUnnamed
                | Kind::Query
                | Kind::Sync => drop(replies.ready(Idle).unwrap()),
            }
        }
        assert!(replies.is_settled());
    }
    // A copy that fails before it begins.
    let mut replies = sent(&[Kind::Execute]);
    replies.copy_ended();
    send(&mut replies, Kind::Sync);
    replies.failed(&mut Vec::new(), false);
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}

#[test]
fn a_sync_between_a_copy_and_its_data_is_ignored_and_one_behind_is_not() {
    let mut replies = sent(&[Kind::Execute, Kind::Sync]);
    replies.copy_ended();
    send(&mut replies, Kind::Sync);
    replies.answered(Tag::CopyInResponse).unwrap();
    replies.answered(Tag::CommandComplete).unwrap();
    replies.ready(Idle).unwrap();
    assert!(replies.is_settled());
}
