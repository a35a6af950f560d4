//! The dashboard docs/grafana.json: Grafana can import it, and it shows every metric.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The columns of a dashboard.
const COLUMNS: u64 = 24;

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    let panels = panels();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    assert!(!ids.contains(&None));
    let mut taken = BTreeSet::new();
    for panel in &panels {
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{}", panel["title"]);
        for cell in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
            assert!(
                taken.insert(cell),
                "{} overlaps at {cell:?}",
                panel["title"]
            );
        }
    }
}

#[test]
fn panels_have_units_and_their_queries_have_legends() {
    for panel in panels().iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title}"
        );
        assert!(panel["description"].is_string(), "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            assert_ne!(target["legendFormat"], "", "{title}");
            let expr = target["expr"].as_str().unwrap();
            let (metrics, selectors) = (expr.matches("socketio_"), expr.matches("$instance"));
            assert_eq!(metrics.count(), selectors.count(), "{title}: {expr}");
        }
    }
}

#[test]
fn the_import_asks_for_the_data_source() {
    let dashboard = dashboard();
    assert_eq!(dashboard["__inputs"][0]["name"], "DS_PROMETHEUS");
    assert_eq!(dashboard["id"], Value::Null);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["datasource", "instance"]);
    assert_eq!(variables[0]["current"]["value"], "${DS_PROMETHEUS}");
}

#[test]
fn panels_show_every_metric_and_no_other() {
    let shown: BTreeSet<_> = expressions().iter().flat_map(|expr| names(expr)).collect();
    let mut unseen = BTreeSet::new();
    let mut known = BTreeSet::new();
    for (metric_type, name) in described() {
        let series = match metric_type.as_str() {
            "Histogram" => ["_bucket", "_count", "_sum"]
                .map(|end| format!("{name}{end}"))
                .to_vec(),
            _ => vec![name.clone()],
        };
        if !series.iter().any(|series| shown.contains(series)) {
            unseen.insert(name);
        }
        known.extend(series);
    }
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
    let unknown: Vec<_> = shown.difference(&known).collect();
    assert!(unknown.is_empty(), "the server has no {unknown:?}");
}

#[test]
fn totals_are_shown_as_rates() {
    for expr in expressions() {
        let totals = names(&expr).into_iter().filter(|name| !is_gauge(name));
        for name in totals {
            let rate = format!("rate({name}{{");
            assert!(expr.contains(&rate), "{expr}");
            assert!(expr.contains("[$__rate_interval]"), "{expr}");
        }
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&read("docs/grafana.json")).unwrap()
}

fn panels() -> Vec<Value> {
    dashboard()["panels"].as_array().unwrap().clone()
}

fn expressions() -> Vec<String> {
    let expression = |target: &Value| target["expr"].as_str().unwrap().to_owned();
    let targets = panels()
        .into_iter()
        .filter_map(|panel| panel["targets"].as_array().cloned());
    targets
        .flatten()
        .map(|target| expression(&target))
        .collect()
}

/// Returns the names of the metrics in an expression.
fn names(expr: &str) -> Vec<String> {
    let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("socketio_"));
    ours.map(str::to_owned).collect()
}

fn is_gauge(name: &str) -> bool {
    let is_it = |(metric_type, known): &(String, String)| metric_type == "Gauge" && known == name;
    described().iter().any(is_it)
}

/// Returns the types and names in src/telemetry/descriptions.rs. The test compiles without the
/// feature `metrics`, so it reads the text.
fn described() -> Vec<(String, String)> {
    let text = read("src/telemetry/descriptions.rs");
    let entries = text.split("MetricType::").skip(1);
    let described: Vec<_> = entries
        .filter_map(|entry| {
            let (metric_type, rest) = entry.split_once(',')?;
            let name = rest.split('"').nth(1)?;
            Some((metric_type.to_owned(), name.to_owned()))
        })
        .collect();
    assert!(described.len() > 20, "{described:?}");
    described
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
