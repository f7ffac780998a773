//! The page's two drawings. The adjacent text, or the drawing's label, contains the same values.

use domain::size;
use maud::{Markup, html};

use crate::overview::Run;

/// The width of both drawings, in the drawing's units.
const WIDTH: f64 = 96.0;

/// The height of the drawing of sizes.
const HEIGHT: f64 = 24.0;

/// Draws the sizes of the newest runs' backups as a line above zero. Draws nothing for fewer than two sizes.
pub fn sizes(runs: &[Run]) -> Markup {
    let sizes: Vec<u64> = runs.iter().filter_map(|run| run.size_bytes).collect();
    let (Some(largest), 2..) = (sizes.iter().copied().max().filter(|largest| *largest > 0), sizes.len())
    else {
        return html! {};
    };
    #[expect(clippy::cast_precision_loss, reason = "it is a drawing")]
    let points: Vec<(f64, f64)> = sizes
        .iter()
        .enumerate()
        .map(|(at, bytes)| {
            let x = at as f64 / (sizes.len() - 1) as f64 * (WIDTH - 4.0) + 2.0;
            (x, HEIGHT - 2.0 - *bytes as f64 / largest as f64 * (HEIGHT - 4.0))
        })
        .collect();
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let (first, last) = (size::human(sizes[0]), size::human(sizes[sizes.len() - 1]));
    let (x, y) = points[points.len() - 1];
    html! {
        svg.sizes viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
            aria-label=(format!("size of the last {} backups: from {first} to {last}", sizes.len())) {
            line x1="0" y1=(HEIGHT - 0.5) x2=(WIDTH) y2=(HEIGHT - 0.5) {}
            polyline points=(line.join(" ")) {}
            circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2" {}
        }
    }
}

/// Draws a bar that shows how much of `allowed` is used.
pub fn share(used: i64, allowed: i64) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "it is a drawing")]
    let share = (used as f64 / allowed.max(1) as f64).clamp(0.0, 1.0);
    html! {
        svg.share.spent[used > allowed] viewBox=(format!("0 0 {WIDTH} 4")) aria-hidden="true" {
            rect width=(WIDTH) height="4" rx="2" {}
            rect.used width=(format!("{:.1}", share * WIDTH)) height="4" rx="2" {}
        }
    }
}
