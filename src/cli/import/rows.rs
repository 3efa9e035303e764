//! The lines of a file of accounts, CSV or JSON, each read by itself.
//!
//! A member that is not known is refused rather than passed over: a `role` that should have been `roles` would leave people without theirs. Nothing of a line
//! is repeated in a complaint, since a column that is taken for another may hold hashes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::Form;
use crate::auth::import::Newcomer;
use crate::cli::CliError;

/// Octets of a JSON line at most.
const LONGEST: u64 = 64 * 1024;

const PLAIN: &str = "passwords are not imported, only their hashes: call the column password_hash if it holds such";

/// One line.
pub(super) struct Row {
    /// Its number in the file.
    pub(super) line: u64,
    /// What it says, or why that cannot be told.
    pub(super) newcomer: Result<Newcomer, &'static str>,
}

/// All lines.
pub(super) struct Rows {
    /// About how many there are, where that can be told beforehand.
    pub(super) expected: Option<u64>,
    lines: Lines,
}

type Source = Box<dyn Read>;

enum Lines {
    Csv {
        columns: Vec<Member>,
        records: csv::StringRecordsIntoIter<Source>,
    },
    Jsonl {
        text: BufReader<Source>,
        line: u64,
    },
}

/// What a column or a JSON member holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Email,
    PasswordHash,
    Roles,
    CreatedAt,
    Disabled,
    Id,
}

impl Rows {
    /// The lines of a file; `-` is standard input.
    pub(super) fn open(file: &Path, form: Form) -> Result<Self, CliError> {
        let (source, lines) = open(file).map_err(CliError::io(format!("cannot read {}", file.display())))?;
        let heading = u64::from(form == Form::Csv);
        let lines_of = match form {
            Form::Csv => csv(source)?,
            Form::Jsonl => Lines::Jsonl {
                text: BufReader::new(source),
                line: 0,
            },
        };
        Ok(Self {
            expected: lines.map(|lines| lines.saturating_sub(heading)),
            lines: lines_of,
        })
    }
}

impl Iterator for Rows {
    type Item = Result<Row, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match &mut self.lines {
            Lines::Csv { columns, records } => csv_row(columns, records.next()?),
            Lines::Jsonl { text, line } => json_row(text, line).transpose()?,
        };
        Some(row.map_err(CliError::io("cannot read on; what was taken over stays, run it again")))
    }
}

/// A file, and how many lines it has; of a pipe that is not known.
fn open(file: &Path) -> io::Result<(Source, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let lines = match File::open(file)? {
        regular if regular.metadata()?.is_file() => Some(count(BufReader::new(regular))?),
        _ => None,
    };
    Ok((Box::new(File::open(file)?), lines))
}

fn count(mut text: impl BufRead) -> io::Result<u64> {
    let mut lines = 0;
    loop {
        let piece = text.fill_buf()?;
        if piece.is_empty() {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        let length = piece.len();
        text.consume(length);
    }
}

fn csv(source: Source) -> Result<Lines, CliError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
    let header = reader
        .headers()
        .map_err(|error| CliError::Refused(format!("cannot read the first line: {}", of_csv(&error))))?;
    let mut columns = Vec::new();
    for (number, name) in header.iter().enumerate() {
        let refused = |why: &str| CliError::Refused(format!("column {} of the first line: {why}", number + 1));
        let member = Member::named(name).map_err(refused)?;
        if columns.contains(&member) {
            return Err(refused("it is there twice"));
        }
        columns.push(member);
    }
    if !columns.contains(&Member::Email) || !columns.contains(&Member::PasswordHash) {
        let words = "the first line must name the columns, email and password_hash among them";
        return Err(CliError::Refused(words.to_owned()));
    }
    Ok(Lines::Csv {
        columns,
        records: reader.into_records(),
    })
}

fn csv_row(columns: &[Member], record: csv::Result<csv::StringRecord>) -> io::Result<Row> {
    let record = match record {
        Ok(record) => record,
        Err(error) => {
            let (line, why) = (error.position().map_or(0, csv::Position::line), of_csv(&error));
            return match error.into_kind() {
                csv::ErrorKind::Io(error) => Err(error),
                _ => Ok(Row {
                    line,
                    newcomer: Err(why),
                }),
            };
        }
    };
    let mut newcomer = Newcomer::default();
    for (member, cell) in columns.iter().zip(&record) {
        member.set(&mut newcomer, cell.to_owned());
    }
    Ok(Row {
        line: record.position().map_or(0, csv::Position::line),
        newcomer: Ok(newcomer),
    })
}

fn of_csv(error: &csv::Error) -> &'static str {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { .. } => {
            "it has not as many columns as the first line; what holds a comma stands in quotes"
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8",
        csv::ErrorKind::Io(_) => "the file cannot be read",
        _ => "it is not CSV",
    }
}

/// The next line that is not empty.
fn json_row(text: &mut impl BufRead, line: &mut u64) -> io::Result<Option<Row>> {
    loop {
        let mut bytes = Vec::new();
        if text.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        *line += 1;
        let newcomer = if bytes.len() as u64 == LONGEST && bytes.last() != Some(&b'\n') {
            text.skip_until(b'\n')?;
            Err("it is longer than 64 KiB")
        } else if bytes.trim_ascii().is_empty() {
            continue;
        } else {
            of_json(&bytes)
        };
        return Ok(Some(Row { line: *line, newcomer }));
    }
}

fn of_json(bytes: &[u8]) -> Result<Newcomer, &'static str> {
    let members: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| "it is not a JSON object")?;
    let mut newcomer = Newcomer::default();
    for (name, value) in members {
        let member = Member::named(&name)?;
        match (member, value) {
            (_, Value::Null) => {}
            (Member::Roles, Value::Array(roles)) => {
                newcomer.roles = roles.into_iter().map(text).collect::<Result<_, _>>()?
            }
            (Member::CreatedAt, Value::Number(seconds)) => newcomer.created_at = seconds.to_string(),
            (Member::Disabled, Value::Bool(disabled)) => newcomer.disabled = disabled.to_string(),
            (member, value) => member.set(&mut newcomer, text(value)?),
        }
    }
    Ok(newcomer)
}

fn text(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err("a member is of the wrong type"),
    }
}

impl Member {
    fn named(name: &str) -> Result<Self, &'static str> {
        match name.to_ascii_lowercase().as_str() {
            "email" => Ok(Self::Email),
            "password_hash" => Ok(Self::PasswordHash),
            "roles" => Ok(Self::Roles),
            "created_at" => Ok(Self::CreatedAt),
            "disabled" => Ok(Self::Disabled),
            "id" => Ok(Self::Id),
            "password" => Err(PLAIN),
            _ => Err("its name is not known; these are: email, password_hash, roles, created_at, disabled, id"),
        }
    }

    fn set(self, newcomer: &mut Newcomer, text: String) {
        match self {
            Self::Email => newcomer.email = text,
            Self::PasswordHash => newcomer.password_hash = text,
            Self::CreatedAt => newcomer.created_at = text,
            Self::Disabled => newcomer.disabled = text,
            Self::Id => newcomer.id = text,
            // None of these can stand in a role.
            Self::Roles => {
                newcomer.roles = text
                    .split([',', ';', '|', ' '])
                    .filter(|role| !role.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, form: Form) -> Vec<Row> {
        let source: Source = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
        let lines = match form {
            Form::Csv => csv(source).map_err(|error| error.to_string()).unwrap(),
            Form::Jsonl => Lines::Jsonl {
                text: BufReader::new(source),
                line: 0,
            },
        };
        let rows = Rows { expected: None, lines };
        rows.map(|row| row.map_err(|error| error.to_string()).unwrap())
            .collect()
    }

    fn fault(text: &str) -> String {
        let source: Source = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
        csv(source).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_say_the_same() {
        let csv = "\u{feff}Email, roles ,password_hash,created_at,disabled,id\n\
                   ada@example.com,\"staff, ops\",\"$argon2id$v=19$m=8,t=1,p=1$x$y\",2020-01-01T00:00:00Z,true,7\n";
        let json = r#"{"email":"ada@example.com","roles":["staff","ops"],"password_hash":"$argon2id$v=19$m=8,t=1,p=1$x$y","created_at":"2020-01-01T00:00:00Z","disabled":true,"id":"7"}"#;
        for (text, form, line) in [(csv, Form::Csv, 2), (json, Form::Jsonl, 1)] {
            let row = read(text, form).pop().unwrap();
            let newcomer = row.newcomer.unwrap();
            assert_eq!((row.line, newcomer.email.as_str()), (line, "ada@example.com"));
            assert_eq!(newcomer.roles, ["staff", "ops"]);
            assert_eq!(newcomer.password_hash, "$argon2id$v=19$m=8,t=1,p=1$x$y");
            assert_eq!(
                (newcomer.created_at.as_str(), newcomer.disabled.as_str()),
                ("2020-01-01T00:00:00Z", "true")
            );
            assert_eq!(newcomer.id, "7");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_has_its_number_and_the_next_is_read() {
        let csv = "email,password_hash\na,b\nc\nd,e\n\"f\ng\",h\ni,j,k\nl,m\n";
        let told: Vec<_> = read(csv, Form::Csv)
            .iter()
            .map(|row| (row.line, row.newcomer.is_ok()))
            .collect();
        assert_eq!(
            told,
            [(2, true), (3, false), (4, true), (5, true), (7, false), (8, true)]
        );
        let long = format!("{{\"email\":\"{}\"}}", "x".repeat(70_000));
        let jsonl = format!(
            "{{\"email\":\"a\"}}\n\n[]\n{{\"email\":1}}\n{{\"role\":\"x\"}}\n{{\"password\":\"x\"}}\n{long}\n{{\"email\":null,\"created_at\":5}}"
        );
        let told: Vec<_> = read(&jsonl, Form::Jsonl)
            .iter()
            .map(|row| (row.line, row.newcomer.is_ok()))
            .collect();
        let lines = [
            (1, true),
            (3, false),
            (4, false),
            (5, false),
            (6, false),
            (7, false),
            (8, true),
        ];
        assert_eq!(told, lines);
    }

    #[test]
    fn a_first_line_that_names_no_columns_is_refused_without_repeating_it() {
        for (text, column) in [
            ("ada@example.com,$2b$12$abc\n", "column 1"),
            ("email,password\na,hunter2\n", "column 2"),
            ("email,email,password_hash\n", "column 2"),
            ("email,role,password_hash\n", "column 2"),
        ] {
            let told = fault(text);
            assert!(
                told.contains(column) && !told.contains("ada") && !told.contains("$2b"),
                "{told}"
            );
        }
        assert!(fault("email,id\n").contains("password_hash"));
        assert!(fault("").contains("password_hash"));
        assert!(fault("email,password\n").contains("not imported"));
    }
}
