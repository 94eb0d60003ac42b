//! A chart of lines as SVG, in colours that can be read on light and on dark ground.

use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Levels of one kind, side by side on an axis.
pub(crate) struct Panel {
    /// What the axis says.
    pub(crate) title: String,
    /// The levels, from the mildest on.
    pub(crate) levels: Vec<String>,
}

/// A line through all panels.
pub(crate) struct Line {
    pub(crate) name: String,
    /// For each panel a value at each level.
    pub(crate) values: Vec<Vec<f64>>,
}

/// Grey that stands out from white as much as from black.
const INK: RGBColor = RGBColor(0x76, 0x76, 0x76);
/// Colours of middle lightness, which can be told apart by most who see few of them.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0x2f, 0x7f, 0xc1),
    RGBColor(0xd9, 0x7a, 0x1f),
    RGBColor(0x8c, 0x6a, 0xc4),
    RGBColor(0x2a, 0x9d, 0x5c),
    RGBColor(0xcf, 0x5a, 0x9b),
    RGBColor(0x9a, 0x7b, 0x18),
    RGBColor(0x1b, 0x96, 0xa3),
    RGBColor(0xc8, 0x4b, 0x4b),
];
const FONT: &str = "sans-serif";
/// Sizes of texts: the title, axes and names, levels.
const TITLE: i32 = 22;
const TEXT: i32 = 16;
const SMALL: i32 = 14;
/// Sizes of parts in pixels.
const PANEL: u32 = 360;
const LEGEND: u32 = 240;
const HEIGHT: u32 = 420;
const HEAD: u32 = 58;
const ROW: u32 = 20;
/// What is smaller, nothing at all too, is drawn here.
const FLOOR: f64 = 1e-7;
/// What the axis goes beyond its first and last power of ten, so that both are labelled.
const MARGIN: f64 = 0.97;
/// The most letters of a name in the legend.
const LETTERS: usize = 28;

/// The chart. Values are on a logarithmic axis; the legend has the lines with the largest values first.
///
/// # Errors
/// When the chart can't be drawn.
pub(crate) fn chart(
    title: &str,
    below: &str,
    axis: &str,
    panels: &[Panel],
    lines: &[Line],
) -> Result<String, String> {
    let mut order: Vec<&Line> = lines.iter().collect();
    order.sort_by(|a, b| most(b).total_cmp(&most(a)));
    let rows = u32::try_from(order.len()).unwrap_or(u32::MAX);
    let height = HEIGHT.max(rows.saturating_mul(ROW).saturating_add(HEAD + ROW));
    let width = PANEL * panels.len() as u32 + LEGEND;
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
    let drawn = draw(&root, title, below, axis, panels, &order).and_then(|()| root.present());
    drawn.map_err(|error| error.to_string())?;
    drop(root);
    Ok(svg)
}

type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Drawn<'s> = Result<(), DrawingAreaErrorKind<<SVGBackend<'s> as DrawingBackend>::ErrorType>>;

/// The largest value of a line.
fn most(line: &Line) -> f64 {
    let all = line.values.iter().flatten().copied();
    all.fold(0.0, |a, b| if b.is_nan() { f64::INFINITY } else { a.max(b) })
}

/// The whole powers of ten around all values.
fn range(lines: &[&Line]) -> (f64, f64) {
    let all = lines.iter().flat_map(|line| line.values.iter().flatten());
    let finite = all.copied().filter(|value| value.is_finite());
    let (least, greatest) = finite.fold((f64::INFINITY, FLOOR), |(low, high), value| {
        (low.min(value.max(FLOOR)), high.max(value))
    });
    let low = 10f64.powf(least.min(greatest).log10().floor());
    let high = 10f64.powf(greatest.log10().ceil());
    (low, if high > low { high } else { low * 10.0 })
}

fn style(size: i32) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font()).color(&INK)
}

fn draw<'s>(
    root: &Area<'s>,
    title: &str,
    below: &str,
    axis: &str,
    panels: &[Panel],
    lines: &[&Line],
) -> Drawn<'s> {
    root.draw(&Text::new(title.to_owned(), (16, 12), style(TITLE)))?;
    root.draw(&Text::new(below.to_owned(), (16, 36), style(SMALL)))?;
    let (low, high) = range(lines);
    let (_, height) = root.dim_in_pixel();
    let body = root.clone().margin(HEAD, 8, 8, 8);
    let mut left = 0;
    for (number, panel) in panels.iter().enumerate() {
        let area = body
            .clone()
            .shrink((left, 0), (PANEL - 12, HEIGHT.min(height) - HEAD - 16));
        left += PANEL as i32;
        let axis = if number == 0 { axis } else { "" };
        draw_panel(&area, panel, number, (low, high), axis, lines)?;
    }
    for (i, line) in lines.iter().enumerate() {
        let (x, y) = (left + 8, i as i32 * ROW as i32 + 10);
        let colour = COLOURS[i % COLOURS.len()];
        body.draw(&PathElement::new(
            vec![(x, y), (x + 24, y)],
            colour.stroke_width(2),
        ))?;
        mark(&body, i, (x + 12, y))?;
        let mut name: String = line.name.chars().take(LETTERS).collect();
        if name.len() < line.name.len() {
            name.push('…');
        }
        let place = style(TEXT).pos(Pos::new(HPos::Left, VPos::Center));
        body.draw(&Text::new(name, (x + 32, y), place))?;
    }
    Ok(())
}

fn draw_panel<'s>(
    area: &Area<'s>,
    panel: &Panel,
    number: usize,
    (low, high): (f64, f64),
    axis: &str,
    lines: &[&Line],
) -> Drawn<'s> {
    let end = panel.levels.len().max(1) as f64 - 0.75;
    let mut chart = ChartBuilder::on(area)
        .x_label_area_size(46)
        .y_label_area_size(62)
        .build_cartesian_2d(-0.25..end, (low * MARGIN..high / MARGIN).log_scale())?;
    let level = |x: &f64| {
        let at = x.round();
        let whole = (x - at).abs() < 1e-6 && at >= 0.0;
        let level = panel.levels.get(at as usize).filter(|_| whole);
        level.cloned().unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.3))
        .axis_style(INK)
        .x_labels(panel.levels.len())
        .x_label_formatter(&level)
        .y_label_formatter(&|y: &f64| format!("{y:.0e}"))
        .label_style(style(SMALL))
        .axis_desc_style(style(TEXT))
        .x_desc(panel.title.as_str())
        .y_desc(axis)
        .draw()?;
    for (i, line) in lines.iter().enumerate() {
        let values = line.values.get(number).into_iter().flatten();
        let points: Vec<(f64, f64)> = values
            .enumerate()
            .map(|(x, &y)| (x as f64, if y.is_nan() { high } else { y.clamp(low, high) }))
            .collect();
        let colour = COLOURS[i % COLOURS.len()];
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        for point in points {
            mark(chart.plotting_area(), i, point)?;
        }
    }
    Ok(())
}

/// The mark of a line: another one each time that the colours start again.
fn mark<'s, C: CoordTranslate>(area: &DrawingArea<SVGBackend<'s>, C>, line: usize, at: C::From) -> Drawn<'s> {
    let colour = COLOURS[line % COLOURS.len()];
    match line / COLOURS.len() % 3 {
        0 => area.draw(&Circle::new(at, 4, colour.filled())),
        1 => area.draw(&TriangleMarker::new(at, 6, colour.filled())),
        _ => area.draw(&Cross::new(at, 4, colour.stroke_width(2))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Panel, chart};

    #[test]
    fn a_chart_holds_each_name_once_and_no_number_that_is_none() {
        let panel = |title: &str, levels: &[&str]| Panel {
            title: title.into(),
            levels: levels.iter().map(|level| (*level).to_owned()).collect(),
        };
        let line = |name: &str, values: [&[f64]; 2]| Line {
            name: name.into(),
            values: values.map(<[f64]>::to_vec).to_vec(),
        };
        let svg = chart(
            "model <b>",
            "on examples",
            "deviation",
            &[panel("zeros", &["50 %", "90 %"]), panel("bits", &["8"])],
            &[
                line("conv & more", [&[1e-3, 0.2], &[0.0]]),
                line("dense", [&[f64::NAN, f64::INFINITY], &[1e-4]]),
            ],
        );
        let svg = svg.unwrap_or_default();
        assert_eq!(svg.matches("conv &amp; more").count(), 1);
        assert_eq!(svg.matches("dense").count(), 1);
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("model &lt;b&gt;") && !svg.contains("NaN") && !svg.contains("inf"));
    }
}
