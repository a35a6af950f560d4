//! Points in time in JavaScript's formats.
//!
//! Milliseconds since 1970 enter, text leaves; both are UTC. The module depends on the calendar but
//! on no clock.

/// Returns a time as `JSON.stringify` writes a `Date`; `None` if its year does not have four
/// digits.
pub(crate) fn iso_time(milliseconds: i64) -> Option<String> {
    let Moment {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = Moment::at(milliseconds)?;
    let millisecond = milliseconds.rem_euclid(1000);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"
    ))
}

/// Returns a time as `Date.toString` writes it on a machine whose clock is UTC; `None` as of
/// [`iso_time`].
pub(crate) fn date_text(milliseconds: i64) -> Option<String> {
    let moment = Moment::at(milliseconds)?;
    let name = |names: &'static str, number: i64| {
        let start = usize::try_from(number).ok()? * 3;
        names.get(start..start + 3)
    };
    let weekday = name("SunMonTueWedThuFriSat", moment.weekday)?;
    let month = name("JanFebMarAprMayJunJulAugSepOctNovDec", moment.month - 1)?;
    let Moment {
        year,
        day,
        hour,
        minute,
        second,
        ..
    } = moment;
    Some(format!(
        "{weekday} {month} {day:02} {year:04} {hour:02}:{minute:02}:{second:02} GMT+0000 \
         (Coordinated Universal Time)"
    ))
}

struct Moment {
    year: i64,
    month: i64,
    day: i64,
    /// Days since Sunday.
    weekday: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Moment {
    fn at(milliseconds: i64) -> Option<Self> {
        let (days, rest) = (milliseconds.div_euclid(DAY), milliseconds.rem_euclid(DAY));
        // The first of January 1970 was a Thursday.
        let weekday = (days + 4).rem_euclid(7);
        // Days are counted from the first of March of year 0, in eras of 400 years.
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        (0..=9999).contains(&year).then_some(Self {
            year,
            month,
            day,
            weekday,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1000 % 60,
        })
    }
}

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_javascript_writes_them() {
        for (milliseconds, iso, text) in [
            (0, "1970-01-01T00:00:00.000Z", "Thu Jan 01 1970 00:00:00"),
            (-1, "1969-12-31T23:59:59.999Z", "Wed Dec 31 1969 23:59:59"),
            (
                1_709_210_096_789,
                "2024-02-29T12:34:56.789Z",
                "Thu Feb 29 2024 12:34:56",
            ),
            (
                253_402_300_799_999,
                "9999-12-31T23:59:59.999Z",
                "Fri Dec 31 9999 23:59:59",
            ),
        ] {
            assert_eq!(iso_time(milliseconds).as_deref(), Some(iso));
            let text = format!("{text} GMT+0000 (Coordinated Universal Time)");
            assert_eq!(date_text(milliseconds), Some(text));
        }
        for milliseconds in [253_402_300_800_000, i64::MAX, i64::MIN] {
            assert_eq!(iso_time(milliseconds), None);
        }
    }
}
