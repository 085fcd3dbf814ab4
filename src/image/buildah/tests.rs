use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;
use crate::image::{Compression, Content, ImageName, ImagePath, Layout, PackageFile, Packing, Tag, pack};

const FACTS: Facts<'_> = Facts {
    source: Some("https://example.com/x"),
    revision: None,
    version: "1.0.0",
    epoch: 1_763_000_000,
    inputs: None,
};

/// A program in place of buildah, and the image that it says it made.
struct Fixture {
    dir: TempDir,
    entries: PackageFiles,
    image: Image,
}

fn names() -> ImageNames {
    ImageNames {
        path: ImagePath::of_package("@x/todo-dynamic").unwrap(),
        name: ImageName::of_package("@x/todo").unwrap(),
        tag: Tag::of_version("", "1.0.0").unwrap(),
    }
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("package");
        fs::create_dir_all(package.join("dist/deep")).unwrap();
        fs::set_permissions(package.join("dist"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(package.join("package.json"), r#"{"name":"@x/todo-dynamic","version":"1.0.0"}"#).unwrap();
        fs::write(package.join("dist/deep/run.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(package.join("package.json"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("deep/run.sh", package.join("dist/link.sh")).unwrap();
        let files = [("package.json", false), ("dist/deep/run.sh", true), ("dist/link.sh", false)];
        let selected = PackageFiles::select(&package, files).unwrap();
        let made = PackageFile {
            path: "dist/made.js".to_owned(),
            executable: false,
            content: Content::Bytes(b"made".to_vec()),
        };
        let entries = PackageFiles::new([selected.entries(), &[made]].concat()).unwrap();

        let (path, layer) = (names().path, dir.path().join("ours"));
        let packing = Packing { path: &path, epoch: FACTS.epoch, compression: Compression::Gzip };
        let packed = pack(&entries, &packing, &dir.path().join("tgz"), &layer).unwrap();
        let package_json = entries.read("package.json").unwrap().unwrap();
        let image = Image::assemble(names(), &package_json, &packed, layer, &FACTS).unwrap();
        Layout::open(&dir.path().join("prepared")).unwrap().add(&image).unwrap();
        Self { dir, entries, image }
    }

    /// With a program that does this, with `$DIR` as the fixture's folder, in its own.
    fn build(&self, script: &str) -> Result<Image> {
        let (source, program) = (self.path("script"), self.path("program"));
        fs::write(&source, format!("#!/bin/sh\nDIR='{}'\n{script}\n", self.dir.path().display())).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
        // By another process: a file that this one has open for writing cannot be run, and other tests fork meanwhile.
        assert!(Command::new("cp").args([&source, &program]).status().unwrap().success());
        fs::create_dir_all(self.path("layers")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let program = program.to_str().unwrap();
        runtime.block_on(build_with(program, names(), &self.entries, self.path("layers/layer"), &FACTS))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

const MAKES: &str = r#"
echo "$@" | sed "s|$PWD|WORK|g; s|annotation=io.backstage.dynamic-packages=[^ ]*|annotation=io.backstage…|" >> "$DIR/log"
pwd > "$DIR/work"
for arg; do case $arg in from|copy|config|commit) verb=$arg; break;; esac; done
case $verb in
  from) echo container-1 ;;
  copy) cp -R tree "$DIR/copied" ;;
  commit) cp -R "$DIR/prepared" layout ;;
esac"#;

#[test]
fn buildah_is_given_the_files_and_facts_and_its_image_is_taken() {
    let fixture = Fixture::new();
    let image = fixture.build(MAKES).unwrap();
    let ours = &fixture.image;
    assert_eq!((&image.name, &image.tag, image.digest), (&ours.name, &ours.tag, ours.digest));
    assert_eq!((&image.manifest, &image.config), (&ours.manifest, &ours.config));
    assert_eq!((image.config_digest, image.layer, image.diff_id), (ours.config_digest, ours.layer, ours.diff_id));
    assert_eq!((image.layer_len, &image.layer_file), (ours.layer_len, &fixture.path("layers/layer")));
    assert_eq!(fs::read(&image.layer_file).unwrap(), fs::read(&ours.layer_file).unwrap());

    let store = "--storage-driver=vfs --root WORK/store --runroot WORK/run";
    let log = fs::read_to_string(fixture.path("log")).unwrap();
    let expected = [
        format!("{store} from scratch"),
        format!("{store} copy --quiet container-1 tree /"),
        format!(
            "{store} config --os=linux --arch=amd64 --created-by=factory --annotation=io.backstage… \
             --annotation=org.opencontainers.image.created=2025-11-13T02:13:20Z \
             --annotation=org.opencontainers.image.source=https://example.com/x \
             --annotation=org.opencontainers.image.title=@x/todo-dynamic \
             --annotation=org.opencontainers.image.version=1.0.0 container-1"
        ),
        format!(
            "{store} commit --quiet --format=oci --disable-compression=false --identity-label=false \
             --timestamp=1763000000 container-1 oci:layout:image"
        ),
    ];
    assert_eq!(log.lines().collect::<Vec<_>>(), expected);
    let work = fs::read_to_string(fixture.path("work")).unwrap();
    assert_eq!(Path::new(work.trim()).parent().unwrap(), fixture.path("layers").canonicalize().unwrap());
    assert!(!Path::new(work.trim()).exists());

    let mode = |name: &str| fs::metadata(fixture.path("copied").join(name)).unwrap().permissions().mode() & 0o777;
    let root = "x-todo";
    let of = |name: &str| mode(&format!("{root}{name}"));
    assert_eq!([of(""), of("/dist"), of("/dist/deep"), of("/dist/deep/run.sh")], [0o755; 4]);
    assert_eq!([of("/package.json"), of("/dist/link.sh"), of("/dist/made.js")], [0o644; 3]);
    let read = |name: &str| fs::read_to_string(fixture.path("copied").join(root).join(name)).unwrap();
    assert_eq!((read("dist/link.sh"), read("dist/made.js")), ("#!/bin/sh\n".to_owned(), "made".to_owned()));
}

#[test]
fn what_buildah_fails_with_is_shown() {
    let fixture = Fixture::new();
    let fails =
        "for arg; do [ $arg = copy ] && { echo first >&2; echo 'Error: no space' >&2; exit 125; }; done; echo c";
    let Error::Build { what, tail, hint } = fixture.build(fails).unwrap_err() else { panic!("no error of a build") };
    assert_eq!(what, "buildah copy failed: no space");
    assert_eq!(tail, ["first", "Error: no space"]);
    assert_eq!(hint, format!("buildah may need root or a user namespace here; otherwise {INSTEAD}"));
}

#[test]
fn an_image_of_another_kind_is_refused() {
    let fixture = Fixture::new();
    let two = r#"printf '%s' "{\"manifests\":[$(cat "$DIR/entry"),$(cat "$DIR/entry")]}" > layout/index.json"#;
    fs::write(fixture.path("entry"), format!(r#"{{"digest":"{}"}}"#, fixture.image.digest)).unwrap();
    for change in [two, "echo {} > layout/index.json", "echo no JSON > layout/index.json"] {
        let script =
            format!("for arg; do [ $arg = commit ] && {{ cp -R \"$DIR/prepared\" layout; {change}; }}; done; echo c");
        let error = fixture.build(&script).unwrap_err();
        assert_eq!(error.to_string(), "buildah wrote an image of an unknown kind");
        assert_eq!(error.hint().as_deref(), Some(INSTEAD));
    }
    let error = fixture.build("echo c").unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
