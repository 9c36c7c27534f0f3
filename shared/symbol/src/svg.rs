//! SVG: one path whose strokes, one module thick, cover the dark modules.

use std::fmt::Write;

use super::Symbol;

pub(super) fn draw(symbol: &Symbol) -> String {
    let layout = symbol.layout;
    let (margin, width) = (Halves(layout.margin), Halves(layout.width));
    // A stroke lies around its line: with the line of the first row at 0, the row begins half a module above.
    let top = Halves(layout.margin + 1);
    format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" "#,
            r#"viewBox="-{margin} -{top} {width} {width}" role="img" shape-rendering="crispEdges"><title>{title}</title>"#,
            r#"<rect x="-{margin}" y="-{top}" width="{width}" height="{width}" fill="{background}"/>"#,
            r#"<path fill="none" stroke="{color}" d="{path}"/></svg>"#,
        ),
        size = layout.size,
        margin = margin,
        top = top,
        width = width,
        title = escape(&symbol.title),
        background = symbol.background,
        color = symbol.color,
        path = path(&symbol.rows),
    )
}

/// Width and height of a finder, the square in three of the corners.
const FINDER: usize = 7;

/// The three finders as outlines, then the dark runs of each row.
fn path(rows: &[Vec<bool>]) -> String {
    let mut path = String::new();
    let far = rows.len() - FINDER;
    for (x, y) in [(0, 0), (far, 0), (0, far)] {
        // The ring, the ring of the 3 x 3 modules inside, and the one in their middle.
        let _ = write!(path, "M{} {y}h6v6h-6zm2 2h2v2h-2zm0 1h2", Halves(2 * x + 1));
    }
    for (y, row) in rows.iter().enumerate() {
        let in_finder = |x| (x < FINDER || x >= far) && (y < FINDER || (y >= far && x < FINDER));
        let row: Vec<bool> = row.iter().enumerate().map(|(x, &dark)| dark && !in_finder(x)).collect();
        write_runs(&mut path, y, &row);
    }
    path
}

/// `M` to the row's first run, then `h` along each and `m` over the gaps.
fn write_runs(path: &mut String, y: usize, row: &[bool]) {
    let mut x = 0;
    let mut pen = None;
    for run in row.chunk_by(|a, b| a == b) {
        if run[0] {
            let length = run.len();
            let _ = match pen {
                None => write!(path, "M{x} {y}h{length}"),
                Some(pen) => write!(path, "m{} 0h{length}", x - pen),
            };
            pen = Some(x + length);
        }
        x += run.len();
    }
}

/// A number of half modules, written in modules.
#[derive(Clone, Copy)]
struct Halves(usize);

impl std::fmt::Display for Halves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0 / 2, self.0 % 2) {
            (whole, 0) => write!(f, "{whole}"),
            (0, _) => f.write_str(".5"),
            (whole, _) => write!(f, "{whole}.5"),
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The modules that a path covers: its lines are one module thick and where they meet the corner is square.
    pub(in super::super) fn covered(path: &str, modules: usize) -> Vec<Vec<bool>> {
        let mut canvas = Canvas { modules, halves: vec![vec![false; 2 * modules]; 2 * modules] };
        let (mut pen, mut start, mut meets_a_line) = ([0, 0], [0, 0], false);
        for (command, numbers) in commands(path) {
            let from = pen;
            match (command, numbers.as_slice()) {
                ('M', [x, y]) => pen = [*x, *y],
                ('m', [x, y]) => pen = [pen[0] + x, pen[1] + y],
                ('h', [length]) => pen[0] += length,
                ('v', [length]) => pen[1] += length,
                ('z', []) => pen = start,
                other => panic!("not a command of ours: {other:?}"),
            }
            if matches!(command, 'M' | 'm') {
                (start, meets_a_line) = (pen, false);
                continue;
            }
            canvas.line(from, pen);
            if meets_a_line {
                canvas.corner(from);
            }
            if command == 'z' {
                canvas.corner(pen);
            }
            meets_a_line = command != 'z';
        }
        canvas.rows()
    }

    /// Each command with its numbers in half modules: `M.5 2` is 1 and 4.
    fn commands(path: &str) -> impl Iterator<Item = (char, Vec<i32>)> {
        let starts: Vec<usize> = path.match_indices(char::is_alphabetic).map(|(start, _)| start).collect();
        let ends: Vec<usize> = starts[1..].iter().copied().chain([path.len()]).collect();
        starts.into_iter().zip(ends).map(|(start, end)| {
            let numbers = path[start + 1..end].split(' ').filter(|number| !number.is_empty());
            let halves = numbers.map(|number| match number.strip_suffix(".5") {
                Some("") => 1,
                Some(whole) => 2 * whole.parse::<i32>().unwrap() + 1,
                None => 2 * number.parse::<i32>().unwrap(),
            });
            (char::from(path.as_bytes()[start]), halves.collect())
        })
    }

    /// Quarters of modules, painted or not.
    struct Canvas {
        modules: usize,
        halves: Vec<Vec<bool>>,
    }

    impl Canvas {
        fn line(&mut self, from: [i32; 2], to: [i32; 2]) {
            let (left, right) = (from[0].min(to[0]), from[0].max(to[0]));
            let (top, bottom) = (from[1].min(to[1]), from[1].max(to[1]));
            if top == bottom {
                self.paint(left..right, top - 1..top + 1);
            } else {
                self.paint(left - 1..left + 1, top..bottom);
            }
        }

        fn corner(&mut self, [x, y]: [i32; 2]) {
            self.paint(x - 1..x + 1, y - 1..y + 1);
        }

        fn paint(&mut self, x: std::ops::Range<i32>, y: std::ops::Range<i32>) {
            let index = |half: i32| usize::try_from(half).expect("nothing is drawn outside of the symbol");
            // The line of the first row is at 0, its upper edge half a module above.
            for row in &mut self.halves[index(y.start + 1)..index(y.end + 1)] {
                row[index(x.start)..index(x.end)].fill(true);
            }
        }

        fn rows(&self) -> Vec<Vec<bool>> {
            let module = |x: usize, y: usize| {
                let [top, bottom] = [2 * y, 2 * y + 1].map(|row| &self.halves[row][2 * x..2 * x + 2]);
                assert!(top == bottom && top[0] == top[1], "module {x}, {y} is covered in part");
                top[0]
            };
            (0..self.modules).map(|y| (0..self.modules).map(|x| module(x, y)).collect()).collect()
        }
    }

    #[test]
    fn runs_and_finders_are_drawn_in_few_bytes() {
        let mut row = vec![false; 21];
        for x in [8, 9, 12] {
            row[x] = true;
        }
        let mut path = String::new();
        write_runs(&mut path, 3, &row);
        assert_eq!(path, "M8 3h2m2 0h1");

        let light = vec![vec![false; 21]; 21];
        let finders = covered(&super::path(&light), 21);
        let ascii =
            |y: usize| finders[y].iter().map(|&dark| if dark { '#' } else { '.' }).collect::<String>();
        assert_eq!(ascii(0), "#######.......#######");
        assert_eq!(ascii(1), "#.....#.......#.....#");
        assert_eq!(ascii(2), "#.###.#.......#.###.#");
        assert_eq!(ascii(7), ".".repeat(21));
        assert_eq!(ascii(17), "#.###.#..............");
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a&b<c>&amp;"), "a&amp;b&lt;c&gt;&amp;amp;");
    }
}
