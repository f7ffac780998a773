use std::collections::BTreeSet;

use jiff::ToSpan;
use proptest::prelude::*;

use super::*;

const IDENTITY: &str = "shop/nightly";

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text, IDENTITY).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    Schedule::parse(text, IDENTITY).expect_err(text).to_string()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Returns the first slots after a time, as wall times of the zone.
fn slots(zone: &str, text: &str, after: &str, count: usize) -> Vec<String> {
    let zone = time_zone(zone).unwrap();
    schedule(text)
        .upcoming(&zone, time(after), count)
        .into_iter()
        .map(|slot| slot.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
        .collect()
}

#[test]
fn cron_schedules_valid_in_kubernetes_are_accepted() {
    for text in [
        "* * * * *",
        "15 2 * * *",
        "? ? ? ? ?",
        "*/15 * * * *",
        "5/15 * * * *",
        "*/100 * * * *",
        "0 0 29 2 *",
        "0 0 31 4 1",
        "0 0 1,15 * MON-fri",
        "0 0 * JAN,jul Sun",
        "00 02 1-7/2,20 * *",
        "+5 2 * * *",
        "1,,2, 2 * * *",
        "*-5 2 * * *",
        "0\t2  * * *",
        "@yearly",
        "@annually",
        "@monthly",
        "@weekly",
        "@daily",
        "@midnight",
        "@hourly",
    ] {
        assert_eq!(schedule(text).effective(), text);
    }
    assert_eq!(schedule("  15 2 * * *\n").effective(), "15 2 * * *");
}

#[test]
fn invalid_schedule_is_rejected_with_a_correction() {
    let fields = |found| {
        format!(
            "the number of fields is {found} instead of five. Write minute, hour, day of month, month and day of week (no seconds), for example \"15 2 * * *\"."
        )
    };
    let nickname = |name| {
        format!(
            "\"{name}\" is not a schedule. Write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly in lower case, or five cron fields."
        )
    };
    let zone = "the schedule contains a time zone. Write the time zone in spec.timeZone.".to_owned();
    for (text, message) in [
        (" ", "the schedule is empty. Write five cron fields, for example \"15 2 * * *\".".to_owned()),
        (
            "@every 6h",
            "@every has no fixed times. Write five cron fields, for example \"0 */6 * * *\".".to_owned(),
        ),
        ("@DAILY", nickname("@DAILY")),
        ("@fortnightly", nickname("@fortnightly")),
        ("TZ=Europe/Berlin 15 2 * * *", zone.clone()),
        ("CRON_TZ=Europe/Berlin 15 2 * * *", zone),
        ("0 15 2 * * *", fields(6)),
        ("15 2 * *", fields(4)),
        ("H 2 * *", fields(4)),
        ("60 2 * * *", "60 is out of range in the minute field. Write 0 to 59.".to_owned()),
        ("0 24 * * *", "24 is out of range in the hour field. Write 0 to 23.".to_owned()),
        ("0 2 0 * *", "0 is out of range in the day of month field. Write 1 to 31.".to_owned()),
        ("0 2 * 13 *", "13 is out of range in the month field. Write 1 to 12 or jan to dec.".to_owned()),
        (
            "0 2 * * 7",
            "7 is out of range in the day of week field. Write 0 (Sunday) to 6 (Saturday) or sun to sat.".to_owned(),
        ),
        (
            "99999999999 2 * * *",
            "99999999999 is out of range in the minute field. Write 0 to 59.".to_owned(),
        ),
        (
            "0 2 * * monday",
            "\"monday\" is not a value of the day of week field. Write 0 (Sunday) to 6 (Saturday) or sun to sat.".to_owned(),
        ),
        ("0 2 L * *", "\"L\" is not a value of the day of month field. Write 1 to 31.".to_owned()),
        ("-5 2 * * *", "\"\" is not a value of the minute field. Write 0 to 59.".to_owned()),
        ("h 2 * * *", "\"h\" is not a value of the minute field. Write 0 to 59.".to_owned()),
        (
            "0 22-4 * * *",
            "the range 22-4 in the hour field ends before it starts. Write 22-23,0-4.".to_owned(),
        ),
        (
            "0 2 * * fri-mon",
            "the range fri-mon in the day of week field ends before it starts. Write fri-6,0-mon.".to_owned(),
        ),
        (
            "*/0 2 * * *",
            "\"0\" is not a step in the minute field. Write a whole number of at least 1 after the slash.".to_owned(),
        ),
        (
            "*/ 2 * * *",
            "\"\" is not a step in the minute field. Write a whole number of at least 1 after the slash.".to_owned(),
        ),
        (
            "1-2-3 2 * * *",
            "\"1-2-3\" in the minute field is invalid. Write a value, a range or a step, for example 0-59/2.".to_owned(),
        ),
        (
            "1/2/3 2 * * *",
            "\"1/2/3\" in the minute field is invalid. Write a value, a range or a step, for example 0-59/2.".to_owned(),
        ),
        (", 2 * * *", "the minute field is empty. Write * for every value, or 0 to 59.".to_owned()),
        (
            "0 0 30 2 *",
            "the schedule matches no date. Write a day of month that at least one of its months has.".to_owned(),
        ),
    ] {
        assert_eq!(refusal(text), message, "{text}");
    }
    for text in ["0 0 31 4 *", "0 0 31 2,4,6,9,11 ?", "0 0 30-31 2 */1"] {
        assert_eq!(Schedule::parse(text, IDENTITY), Err(ScheduleError::Never), "{text}");
    }
}

#[test]
fn h_in_a_schedule_is_a_stable_hash_of_the_policy_name() {
    // These numbers must never change: other numbers would move the backups of every policy that uses H.
    for (text, effective) in [
        ("H 2 * * *", "54 2 * * *"),
        ("H H * * *", "54 22 * * *"),
        ("H(0-29) H(1-4) * * 1-5", "24 3 * * 1-5"),
        ("H/15 * * * *", "9-59/15 * * * *"),
        ("0 H(8-17)/3 * * *", "0 9-17/3 * * *"),
        ("H(0-29),H(30-59)   2 * * *", "24,54 2 * * *"),
    ] {
        assert_eq!(schedule(text).effective(), effective, "{text}");
    }
    let minutes: BTreeSet<String> = (0..200)
        .map(|n| Schedule::parse("H 2 * * *", &format!("shop/p{n}")).unwrap().effective().to_owned())
        .collect();
    assert!(minutes.len() > 50, "many policies spread over the hour: {}", minutes.len());
}

#[test]
fn h_in_a_schedule_is_rejected_outside_minute_and_hour() {
    assert_eq!(
        refusal("0 0 H * *"),
        "H is allowed only in the minute field and the hour field. Write * or 1 to 31 in the day of month field."
    );
    for text in
        ["H(5) 2 * * *", "H(9-5) 2 * * *", "H(0-9 2 * * *", "H/1 2 * * *", "H/61 2 * * *", "Hx 2 * * *"]
    {
        let term = text.split(' ').next().unwrap();
        assert_eq!(
            refusal(text),
            format!(
                "\"{term}\" in the minute field is invalid. Write H, H/step, H(first-last) or H(first-last)/step, with values from 0 to 59 and a step from 2 to the number of values."
            )
        );
    }
    assert_eq!(refusal("H(0-60) 2 * * *"), "60 is out of range in the minute field. Write 0 to 59.");
    assert_eq!(
        refusal("H/0 2 * * *"),
        "\"0\" is not a step in the minute field. Write a whole number of at least 1 after the slash."
    );
}

#[test]
fn time_zone_must_be_an_exact_iana_name() {
    for name in
        ["UTC", "Etc/UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "US/Eastern", "Etc/GMT+5"]
    {
        assert_eq!(time_zone(name).unwrap().iana_name(), Some(name));
    }
    let message = |name| time_zone(name).expect_err(name).to_string();
    assert_eq!(
        message(""),
        "the time zone is empty. Write an IANA name, for example Europe/Berlin or Etc/UTC."
    );
    for name in ["Local", "local"] {
        assert_eq!(
            message(name),
            "Local is not allowed as a time zone, because it depends on the host of the CronJob controller. Write an IANA name, for example Europe/Berlin."
        );
    }
    assert_eq!(
        message("europe/berlin"),
        "\"europe/berlin\" is not the exact name of the time zone. Write Europe/Berlin."
    );
    for name in ["CEST", "+02:00", "Mars/Olympus", "../etc/passwd", "Etc/Unknown", " UTC"] {
        assert_eq!(
            message(name),
            format!(
                "\"{name}\" is not an IANA time zone. Write an IANA name, for example Europe/Berlin or Etc/UTC."
            )
        );
    }
}

/// The test table of robfig/cron 3.0.1 (`TestActivation`, `TestNext`), without the rows that have seconds.
#[test]
fn schedule_times_match_the_tests_of_robfig_cron() {
    for (after, text, next) in [
        ("2012-07-09T14:45", "0/15 * * * *", "2012-07-09T15:00"),
        ("2012-07-09T14:59", "0/15 * * * *", "2012-07-09T15:00"),
        ("2012-07-09T14:59:59", "0/15 * * * *", "2012-07-09T15:00"),
        ("2012-07-09T15:00", "5/15 * * * *", "2012-07-09T15:05"),
        ("2012-07-09T15:45", "20-35/15 * * * *", "2012-07-09T16:20"),
        ("2012-07-09T23:46", "*/15 * * * *", "2012-07-10T00:00"),
        ("2012-07-09T23:45", "20-35/15 * * * *", "2012-07-10T00:20"),
        ("2012-07-09T23:35:51", "20-35/15 1/2 * * *", "2012-07-10T01:20"),
        ("2012-07-09T23:35:51", "20-35/15 10-12 * * *", "2012-07-10T10:20"),
        ("2012-07-09T23:35:51", "20-35/15 1/2 */2 * *", "2012-07-11T01:20"),
        ("2012-07-09T23:35:51", "20-35/15 * 9-20 * *", "2012-07-10T00:20"),
        ("2012-07-09T23:35:51", "20-35/15 * 9-20 Jul *", "2012-07-10T00:20"),
        ("2012-07-09T23:35", "0 0 9 Apr-Oct ?", "2012-08-09T00:00"),
        ("2012-07-09T23:35", "0 0 */5 Apr,Aug,Oct Mon", "2012-08-01T00:00"),
        ("2012-07-09T23:35", "0 0 */5 Oct Mon", "2012-10-01T00:00"),
        ("2012-07-09T23:35", "0 0 * Feb Mon", "2013-02-04T00:00"),
        ("2012-07-09T23:35", "0 0 * Feb Mon/2", "2013-02-01T00:00"),
        ("2012-12-31T23:59:45", "* * * * *", "2013-01-01T00:00"),
        ("2012-07-09T23:35", "0 0 29 Feb ?", "2016-02-29T00:00"),
        ("2012-07-08T00:00", "@weekly", "2012-07-15T00:00"),
        ("2012-07-01T00:00", "@monthly", "2012-08-01T00:00"),
        ("2012-07-01T00:00", "@yearly", "2013-01-01T00:00"),
        // Both day fields are restricted: one match is enough.
        ("2012-06-14T23:59", "* * 1,15 * Sun", "2012-06-15T00:00"),
        ("2012-07-31T23:59", "* * 1,15 * Sun", "2012-08-01T00:00"),
        // One day field is a star: both must match.
        ("2012-07-09T00:00", "0 0 * * Mon", "2012-07-16T00:00"),
        ("2012-07-09T00:00", "0 0 1,15 * *", "2012-07-15T00:00"),
        ("2012-07-09T00:00", "0 0 1,15 * */1", "2012-07-15T00:00"),
        // A star with a step is not a star.
        ("2012-07-09T00:00", "0 0 */10 * Sun", "2012-07-11T00:00"),
        ("2012-07-11T00:00", "0 0 */10 * Sun", "2012-07-15T00:00"),
    ] {
        let next_slot = slots("UTC", text, &format!("{after}Z"), 1);
        assert_eq!(next_slot, [format!("{next}:00+00:00")], "{text} after {after}");
    }
}

/// The rows of robfig/cron's table about daylight saving, and further results of robfig/cron 3.0.1.
#[test]
fn daylight_saving_is_handled_like_the_cronjob_controller() {
    for (zone, after, text, expected) in [
        // A wall time that does not exist is skipped.
        ("America/New_York", "2012-03-11T00:00-05", "30 2 11 Mar ?", "2013-03-11T02:30:00-04:00"),
        ("America/New_York", "2012-03-11T00:00-05", "0 2 * * ?", "2012-03-12T02:00:00-04:00"),
        ("America/New_York", "2012-03-11T01:00-05", "0 1 * * ?", "2012-03-12T01:00:00-04:00"),
        (
            "America/New_York",
            "2012-03-11T00:00-05",
            "0 * * * ?",
            "2012-03-11T01:00:00-05:00 2012-03-11T03:00:00-04:00 2012-03-11T04:00:00-04:00",
        ),
        ("Europe/Berlin", "2026-03-28T12:00+01", "30 2 * * *", "2026-03-30T02:30:00+02:00"),
        // A wall time in the repeated hour comes twice.
        ("America/New_York", "2012-11-04T00:00-04", "30 2 04 Nov ?", "2012-11-04T02:30:00-05:00"),
        ("America/New_York", "2012-11-04T01:45-04", "30 1 04 Nov ?", "2012-11-04T01:30:00-05:00"),
        (
            "America/New_York",
            "2012-11-04T00:00-04",
            "0 * * * ?",
            "2012-11-04T01:00:00-04:00 2012-11-04T01:00:00-05:00 2012-11-04T02:00:00-05:00",
        ),
        (
            "America/New_York",
            "2012-11-04T00:00-04",
            "0 1 * * ?",
            "2012-11-04T01:00:00-04:00 2012-11-04T01:00:00-05:00 2012-11-05T01:00:00-05:00",
        ),
        (
            "America/New_York",
            "2012-11-04T00:00-04",
            "0 2 * * ?",
            "2012-11-04T02:00:00-05:00 2012-11-05T02:00:00-05:00",
        ),
        ("America/New_York", "2012-11-04T00:00-04", "0 3 3 * ?", "2012-12-03T03:00:00-05:00"),
        (
            "Europe/Berlin",
            "2026-10-25T00:00+02",
            "15 2 * * *",
            "2026-10-25T02:15:00+02:00 2026-10-25T02:15:00+01:00 2026-10-26T02:15:00+01:00",
        ),
        // Midnight does not exist, west and east of UTC. In the east, the Sunday is skipped.
        ("America/Sao_Paulo", "2018-10-17T05:00-04", "0 9 10 * ?", "2018-11-10T09:00:00-02:00"),
        ("America/Sao_Paulo", "2018-02-14T05:00-05", "0 9 22 * ?", "2018-02-22T09:00:00-03:00"),
        ("America/Sao_Paulo", "2018-11-03T00:00-03", "0 0 * * *", "2018-11-05T00:00:00-02:00"),
        ("Asia/Beirut", "2024-03-30T12:00+02", "0 12 * * *", "2024-03-31T12:00:00+03:00"),
        ("Asia/Beirut", "2024-03-30T12:00+02", "0 12 * * 0", "2024-04-07T12:00:00+03:00"),
        // Clocks move by half an hour.
        (
            "Australia/Lord_Howe",
            "2026-04-04T12:00+11",
            "45 1 * * *",
            "2026-04-05T01:45:00+11:00 2026-04-05T01:45:00+10:30",
        ),
        ("Australia/Lord_Howe", "2026-10-03T12:00+10:30", "0 3 * * *", "2026-10-05T03:00:00+11:00"),
        ("Asia/Kolkata", "2016-01-03T14:09:03+05:30", "14 14 * * *", "2016-01-03T14:14:00+05:30"),
    ] {
        let count = expected.split(' ').count();
        assert_eq!(slots(zone, text, after, count).join(" "), expected, "{zone}: {text} after {after}");
    }
}

#[test]
fn schedule_continues_after_a_date_skipped_by_time_zone() {
    // Samoa had no 30 December 2011; robfig/cron never returns there.
    assert_eq!(slots("Pacific/Apia", "@monthly", "2011-12-15T00:00:00Z", 1), ["2012-01-01T00:00:00+14:00"]);
}

#[test]
fn next_run_is_searched_for_at_most_five_years() {
    let leap_day = schedule("0 0 29 2 *");
    assert_eq!(leap_day.after(&TimeZone::UTC, time("2096-03-01T00:00:00Z")), None);
    assert_eq!(schedule("@daily").after(&TimeZone::UTC, Timestamp::MAX), None);
}

fn common_line() -> impl Strategy<Value = String> {
    let values = |low: u32, high: u32| {
        prop_oneof![
            2 => Just("*".to_owned()),
            3 => (low..=high).prop_map(|value| value.to_string()),
            2 => (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            1 => prop::collection::vec(low..=high, 2..4)
                .prop_map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        ]
    };
    let stepped = move |low: u32, high: u32| {
        prop_oneof![
            3 => values(low, high),
            1 => (2..=high / 2).prop_map(|step| format!("*/{step}")),
            1 => (low..high, 2..=high / 2).prop_map(move |(low, step)| format!("{low}-{high}/{step}")),
        ]
    };
    (stepped(0, 59), stepped(0, 23), values(1, 31), values(1, 12), values(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    // 1990 to 2050.
    (631_152_000_i64..2_524_608_000).prop_map(|second| Timestamp::from_second(second).unwrap())
}

/// Generates the name of a time zone with unusual clock changes.
fn odd_zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "America/Sao_Paulo",
        "America/St_Johns",
        "Asia/Beirut",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/Havana",
        "Antarctica/Troll",
    ])
}

proptest! {
    #[test]
    fn schedule_times_are_strictly_ascending(line in common_line(), zone in odd_zone(), from in any_time()) {
        let Ok(schedule) = Schedule::parse(&line, IDENTITY) else { return Ok(()) };
        let zone = time_zone(zone).unwrap();
        let mut before = from;
        for slot in schedule.upcoming(&zone, from, 20) {
            prop_assert!(slot > before, "{slot} after {before}");
            prop_assert_eq!(slot.as_second() % 60, 0);
            before = slot;
        }
    }

    #[test]
    fn h_in_a_schedule_is_stable_and_within_its_range(
        identity in "[a-z]{1,10}/[a-z]{1,10}", a in 0_u32..60, b in 0_u32..60, step in 2_u32..60,
    ) {
        let (first, last) = (a.min(b), a.max(b));
        let range = format!("H({first}-{last}) 2 * * *");
        let one = Schedule::parse(&range, &identity).unwrap();
        let value: u32 = one.effective().split(' ').next().unwrap().parse().unwrap();
        prop_assert!((first..=last).contains(&value));
        prop_assert_eq!(&one, &Schedule::parse(&range, &identity).unwrap());
        prop_assert_eq!(&one, &Schedule::parse(one.effective(), "somebody/else").unwrap());

        let every = Schedule::parse(&format!("H/{step} * * * *"), &identity).unwrap();
        let times = every.upcoming(&TimeZone::UTC, Timestamp::UNIX_EPOCH - 1.second(), 120);
        let first = times[0].as_second() / 60;
        prop_assert!(first < i64::from(step), "{first}");
    }

    #[test]
    fn schedule_parser_never_panics(text in "\\PC{0,30}", line in "[0-9*?,/HLa-f() -]{0,30}") {
        for text in [text, line] {
            if let Ok(schedule) = Schedule::parse(&text, IDENTITY) {
                prop_assert!(Schedule::parse(schedule.effective(), IDENTITY).is_ok());
                schedule.after(&TimeZone::UTC, Timestamp::UNIX_EPOCH);
            }
            let _ = time_zone(&text);
        }
    }
}
