//! The decisions of a supervisor about its children. Pure: the time and chance are arguments.
//!
//! Starts and ends of children enter, and the commands of the supervisor's own parent. [`Steps`]
//! leave: commands to children, and reports to the parent. The actors are not known here.
//!
//! A group that escalates, or that its parent stops, stops its children, the last first, and is then
//! down. All children of a group that is down are held, with their mailboxes.

use std::time::{Duration, Instant};

use crate::supervision::ChildEnd;
use crate::supervision::intensity::{RestartIntensity, RestartWindow};
use crate::supervision::mailbox::Command;
use crate::supervision::restart::{BackOff, Restart, Strategy};

/// A child of a group. Later children have larger numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChildId(pub(super) u64);

/// The children of a supervisor, in the order of their start.
#[derive(Debug)]
pub(super) struct Group {
    strategy: Strategy,
    intensity: RestartIntensity,
    window: RestartWindow,
    members: Vec<Member>,
    phase: Phase,
    /// Children from this one on are stopped before any is started.
    stop_from: Option<ChildId>,
    /// The life of the supervisor itself, as a child of its parent.
    life: u64,
    /// The parent knows that all children of this life have started.
    has_started: bool,
}

#[derive(Debug)]
enum Phase {
    Up,
    /// All children are stopped; then the end is reported.
    Ending(ChildEnd),
    Down,
}

#[derive(Debug)]
struct Member {
    id: ChildId,
    restart: Restart,
    back_off: BackOff,
    state: MemberState,
    life: u64,
    /// The ends in a row, for the back-off.
    ends: u32,
    pause: Duration,
    started_at: Option<Instant>,
    /// It is stopped for good.
    is_leaving: bool,
}

/// The state of a child, as its supervisor has commanded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberState {
    /// It waits for its supervisor.
    Held,
    /// It starts, after its pause.
    Starting,
    Running,
    Stopping,
}

/// The consequences of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// A child that gets `End` is no longer in the group.
    pub(super) orders: Vec<(ChildId, Command)>,
    pub(super) reports: Vec<Report>,
}

/// A report of a child to its supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Started { life: u64 },
    Ended { life: u64, end: ChildEnd },
}

impl Group {
    pub(super) fn new(strategy: Strategy, intensity: RestartIntensity) -> Self {
        Self {
            strategy,
            intensity,
            window: RestartWindow::new(intensity),
            members: Vec::new(),
            phase: Phase::Down,
            stop_from: None,
            life: 0,
            has_started: false,
        }
    }

    /// Adds a child behind the others, and starts it if the group is up.
    pub(super) fn add(&mut self, id: ChildId, restart: Restart, back_off: BackOff) -> Steps {
        self.members.push(Member {
            id,
            restart,
            back_off,
            state: MemberState::Held,
            life: 0,
            ends: 0,
            pause: Duration::ZERO,
            started_at: None,
            is_leaving: false,
        });
        self.proceed()
    }

    /// Stops a child for good.
    pub(super) fn remove(&mut self, id: ChildId) -> Steps {
        let mut steps = Steps::default();
        let Some(index) = self.index(id) else {
            return steps;
        };
        let member = &mut self.members[index];
        member.is_leaving = true;
        match member.state {
            MemberState::Held => {
                self.members.remove(index);
                steps.orders.push((id, Command::End(ChildEnd::Shutdown)));
            }
            MemberState::Starting | MemberState::Running => member.stop(&mut steps),
            MemberState::Stopping => {}
        }
        self.proceed_with(steps)
    }

    /// The thread of a child has ended, and the child with it.
    pub(super) fn lose(&mut self, id: ChildId) -> Steps {
        let Some(index) = self.index(id) else {
            return Steps::default();
        };
        self.members.remove(index);
        let orders = vec![(id, Command::End(ChildEnd::Shutdown))];
        let reports = Vec::new();
        self.proceed_with(Steps { orders, reports })
    }

    /// Obeys the supervisor's own parent.
    pub(super) fn obey(&mut self, command: Command) -> Steps {
        match command {
            Command::Start { life, after } => {
                self.life = life;
                self.has_started = false;
                self.window = RestartWindow::new(self.intensity);
                self.phase = Phase::Up;
                for member in &mut self.members {
                    (member.ends, member.pause) = (0, after);
                }
                if self.strategy == Strategy::RestForOne {
                    let behind = self.members.iter_mut().skip(1);
                    behind.for_each(|member| member.pause = Duration::ZERO);
                }
                self.proceed()
            }
            Command::Stop { life } => {
                self.life = life;
                self.end(ChildEnd::Shutdown);
                self.proceed()
            }
            Command::End(end) => {
                self.phase = Phase::Down;
                let members = std::mem::take(&mut self.members);
                let ended = members.iter().rev();
                let ended = ended.map(|member| (member.id, Command::End(end.clone())));
                Steps {
                    orders: ended.collect(),
                    reports: Vec::new(),
                }
            }
        }
    }

    /// A child has reported something.
    pub(super) fn hear(&mut self, id: ChildId, report: Report, now: Instant, random: f64) -> Steps {
        let Some(index) = self.index(id) else {
            return Steps::default();
        };
        let member = &mut self.members[index];
        match report {
            Report::Started { life } => {
                if member.life == life && member.state == MemberState::Starting {
                    member.state = MemberState::Running;
                    member.started_at = Some(now);
                }
                self.proceed()
            }
            Report::Ended { life, end } => {
                if member.life != life || member.state == MemberState::Held {
                    return Steps::default();
                }
                self.ended(index, end, now, random)
            }
        }
    }

    /// Returns the state of a child.
    pub(super) fn state(&self, id: ChildId) -> Option<MemberState> {
        self.index(id).map(|index| self.members[index].state)
    }

    fn ended(&mut self, index: usize, end: ChildEnd, now: Instant, random: f64) -> Steps {
        let member = &mut self.members[index];
        let was = std::mem::replace(&mut member.state, MemberState::Held);
        let is_own = was != MemberState::Stopping;
        let stays = if is_own {
            member.restart.follows(&end)
        } else {
            member.restart != Restart::Temporary
        };
        if member.is_leaving || !stays {
            let id = self.members.remove(index).id;
            let orders = vec![(id, Command::End(end))];
            let reports = Vec::new();
            return self.proceed_with(Steps { orders, reports });
        }
        if is_own && matches!(self.phase, Phase::Up) {
            if self.window.too_many(now) {
                self.end(ChildEnd::Escalated(end.to_string()));
            } else {
                member.back_off(now, random);
                let behind = ChildId(member.id.0 + 1);
                if self.strategy == Strategy::RestForOne {
                    let from = self.stop_from.map_or(behind, |from| from.min(behind));
                    self.stop_from = Some(from);
                }
            }
        }
        self.proceed()
    }

    fn end(&mut self, end: ChildEnd) {
        if !matches!(self.phase, Phase::Ending(_)) {
            self.phase = Phase::Ending(end);
        }
        self.stop_from = Some(ChildId(0));
    }

    fn proceed(&mut self) -> Steps {
        self.proceed_with(Steps::default())
    }

    /// Takes the next steps: it stops what must be stopped, and then starts what is held.
    fn proceed_with(&mut self, mut steps: Steps) -> Steps {
        if let Some(from) = self.stop_from {
            // The last started is stopped first, and each when the one behind it has ended.
            let running = |member: &&mut Member| member.state != MemberState::Held;
            let behind = self.members.iter_mut().rev();
            let mut behind = behind.take_while(|member| member.id >= from);
            if let Some(last) = behind.find(running) {
                last.stop(&mut steps);
                return steps;
            }
            self.stop_from = None;
        }
        match std::mem::replace(&mut self.phase, Phase::Down) {
            Phase::Down => {}
            Phase::Ending(end) => {
                let life = self.life;
                steps.reports.push(Report::Ended { life, end });
            }
            Phase::Up => {
                self.phase = Phase::Up;
                self.start(&mut steps);
            }
        }
        steps
    }

    fn start(&mut self, steps: &mut Steps) {
        for member in &mut self.members {
            if member.state == MemberState::Held {
                member.start(steps);
            }
            if member.state != MemberState::Running && self.strategy == Strategy::RestForOne {
                return;
            }
        }
        let running = |member: &Member| member.state == MemberState::Running;
        if !self.has_started && self.members.iter().all(running) {
            self.has_started = true;
            steps.reports.push(Report::Started { life: self.life });
        }
    }

    fn index(&self, id: ChildId) -> Option<usize> {
        self.members
            .binary_search_by_key(&id, |member| member.id)
            .ok()
    }
}

impl Member {
    fn start(&mut self, steps: &mut Steps) {
        self.state = MemberState::Starting;
        self.life += 1;
        self.started_at = None;
        let (life, after) = (self.life, std::mem::take(&mut self.pause));
        steps.orders.push((self.id, Command::Start { life, after }));
    }

    fn stop(&mut self, steps: &mut Steps) {
        if self.state != MemberState::Stopping {
            self.state = MemberState::Stopping;
            let life = self.life;
            steps.orders.push((self.id, Command::Stop { life }));
        }
    }

    /// Sets the pause before the next life.
    fn back_off(&mut self, now: Instant, random: f64) {
        let lived = self.started_at.map(|at| now.saturating_duration_since(at));
        if lived.is_some_and(|lived| lived > self.back_off.longest) {
            self.ends = 0;
        }
        self.ends = self.ends.saturating_add(1);
        self.pause = self.back_off.pause(self.ends, random);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: RestartIntensity = RestartIntensity {
        restarts: 2,
        within: Duration::from_secs(10),
    };

    /// A group whose children do what they are told at once.
    struct Obedient {
        group: Group,
        now: Instant,
        log: Vec<String>,
    }

    impl Obedient {
        fn new(strategy: Strategy, children: &[Restart]) -> Self {
            let mut it = Self {
                group: Group::new(strategy, TWO),
                now: Instant::now(),
                log: Vec::new(),
            };
            let started = it.group.obey(start(1));
            it.run(started);
            for (id, restart) in (1..).zip(children) {
                let steps = it.group.add(ChildId(id), *restart, BackOff::default());
                it.run(steps);
            }
            it.log.clear();
            it
        }

        fn run(&mut self, steps: Steps) {
            for report in steps.reports {
                self.log.push(match report {
                    Report::Started { life } => format!("up {life}"),
                    Report::Ended { end, .. } => format!("down: {end}"),
                });
            }
            for (id, command) in steps.orders {
                let (text, report) = match command {
                    Command::Start { life, .. } => ("start", Some(Report::Started { life })),
                    Command::Stop { life } => {
                        let end = ChildEnd::Shutdown;
                        ("stop", Some(Report::Ended { life, end }))
                    }
                    Command::End(_) => ("end", None),
                };
                self.log.push(format!("{text} {}", id.0));
                if let Some(report) = report {
                    let steps = self.group.hear(id, report, self.now, 0.0);
                    self.run(steps);
                }
            }
        }

        /// Ends the present life of a child; returns what follows.
        fn end(&mut self, id: u64, end: ChildEnd) -> Vec<String> {
            let id = ChildId(id);
            let index = self.group.index(id).unwrap();
            let life = self.group.members[index].life;
            let report = Report::Ended { life, end };
            let steps = self.group.hear(id, report, self.now, 0.0);
            self.run(steps);
            std::mem::take(&mut self.log)
        }

        fn panic(&mut self, id: u64) -> Vec<String> {
            self.end(id, ChildEnd::Panic("boom".to_owned()))
        }
    }

    fn start(life: u64) -> Command {
        let after = Duration::ZERO;
        Command::Start { life, after }
    }

    #[test]
    fn one_for_one_restarts_the_child_that_ended() {
        let mut group = Obedient::new(Strategy::OneForOne, &[Restart::Permanent; 3]);
        assert_eq!(group.panic(2), ["start 2"]);
    }

    #[test]
    fn rest_for_one_restarts_the_later_children_in_order() {
        let mut group = Obedient::new(Strategy::RestForOne, &[Restart::Permanent; 4]);
        let expected = ["stop 4", "stop 3", "start 2", "start 3", "start 4"];
        assert_eq!(group.panic(2), expected);
        assert_eq!(group.panic(4), ["start 4"]);
    }

    #[test]
    fn a_temporary_child_that_is_stopped_with_the_rest_does_not_start_again() {
        let children = [Restart::Permanent, Restart::Temporary, Restart::Transient];
        let mut group = Obedient::new(Strategy::RestForOne, &children);
        let expected = ["stop 3", "stop 2", "end 2", "start 1", "start 3"];
        assert_eq!(group.panic(1), expected);
    }

    #[test]
    fn child_that_is_not_restarted_leaves_the_others_alone() {
        for strategy in [Strategy::OneForOne, Strategy::RestForOne] {
            let mut group = Obedient::new(strategy, &[Restart::Transient; 2]);
            assert_eq!(group.end(1, ChildEnd::Normal), ["end 1"]);
        }
    }

    #[test]
    fn group_above_its_intensity_stops_all_children_and_is_down() {
        for strategy in [Strategy::OneForOne, Strategy::RestForOne] {
            let mut group = Obedient::new(strategy, &[Restart::Permanent; 3]);
            for _ in 0..TWO.restarts {
                assert_eq!(group.panic(3), ["start 3"]);
            }
            let down = "down: too many restarts, the last after panic: boom";
            assert_eq!(group.panic(3), ["stop 2", "stop 1", down]);
            // The parent starts it again, with a new count.
            let steps = group.group.obey(start(2));
            group.run(steps);
            assert_eq!(group.log[..3], ["start 1", "start 2", "start 3"]);
            assert_eq!(group.log[3..], ["up 2"]);
            group.log.clear();
            assert_eq!(group.panic(3), ["start 3"]);
        }
    }

    #[test]
    fn restarts_beyond_the_window_do_not_escalate() {
        let mut group = Obedient::new(Strategy::OneForOne, &[Restart::Permanent]);
        for _ in 0..5 {
            assert_eq!(group.panic(1), ["start 1"]);
            group.now += TWO.within / 2;
        }
    }

    #[test]
    fn reports_of_an_earlier_life_are_ignored() {
        let mut group = Obedient::new(Strategy::OneForOne, &[Restart::Permanent]);
        group.panic(1);
        let end = ChildEnd::Normal;
        let late = Report::Ended { life: 1, end };
        assert_eq!(
            group.group.hear(ChildId(1), late, group.now, 0.0),
            Steps::default()
        );
    }

    #[test]
    fn pauses_grow_until_a_life_is_longer_than_the_longest() {
        let mut group = Group::new(
            Strategy::OneForOne,
            RestartIntensity {
                restarts: 99,
                ..TWO
            },
        );
        group.obey(start(1));
        let back_off = BackOff::new(Duration::from_secs(1), Duration::from_secs(8));
        group.add(ChildId(1), Restart::Permanent, back_off);
        let (mut now, mut life) = (Instant::now(), 1);
        for (lived, pause) in [(0, 1), (8, 2), (8, 4), (9, 1), (0, 2)] {
            group.hear(ChildId(1), Report::Started { life }, now, 0.0);
            now += Duration::from_secs(lived);
            let end = ChildEnd::Panic(String::new());
            let steps = group.hear(ChildId(1), Report::Ended { life, end }, now, 0.0);
            life += 1;
            let after = Duration::from_secs(pause);
            assert_eq!(steps.orders, [(ChildId(1), Command::Start { life, after })]);
        }
    }

    #[test]
    fn a_child_that_is_removed_or_lost_does_not_start_again() {
        let mut group = Obedient::new(Strategy::RestForOne, &[Restart::Permanent; 3]);
        let steps = group.group.remove(ChildId(2));
        group.run(steps);
        assert_eq!(group.log, ["stop 2", "end 2"]);
        group.log.clear();
        let steps = group.group.lose(ChildId(3));
        group.run(steps);
        assert_eq!(group.log, ["end 3"]);
        group.log.clear();
        assert_eq!(group.panic(1), ["start 1"]);
    }
}
