package dev.d8.version;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.eclipse.jgit.lib.FileMode;
import org.eclipse.jgit.lib.Repository;
import org.eclipse.jgit.revwalk.RevCommit;
import org.eclipse.jgit.treewalk.TreeWalk;

/**
 * What differs between two commits: the files that are new, and what stood in the first one.
 *
 * @param before every path of the first commit
 * @param added paths that only the second one has
 * @param submodules paths of submodules that differ
 */
record TreeChange(Set<String> before, List<String> added, List<String> submodules) {

    static TreeChange between(Repository repository, RevCommit from, RevCommit to) throws IOException {
        Set<String> before = new HashSet<>();
        List<String> added = new ArrayList<>();
        List<String> submodules = new ArrayList<>();
        try (TreeWalk walk = new TreeWalk(repository)) {
            walk.addTree(from.getTree());
            walk.addTree(to.getTree());
            walk.setRecursive(true);
            while (walk.next()) {
                FileMode old = walk.getFileMode(0);
                FileMode now = walk.getFileMode(1);
                boolean same = old.equals(now) && walk.idEqual(0, 1);
                if (!same && (old.equals(FileMode.GITLINK) || now.equals(FileMode.GITLINK))) {
                    submodules.add(walk.getPathString());
                }
                if (old.equals(FileMode.MISSING)) {
                    added.add(walk.getPathString());
                } else {
                    before.add(walk.getPathString());
                }
            }
        }
        return new TreeChange(before, added, submodules);
    }

    /** Returns why a clean checkout of the first cannot become one of the second without loss. */
    Optional<String> objection(Path workTree) throws IOException {
        if (!submodules.isEmpty()) {
            return Optional.of("the submodule " + submodules.get(0) + " differs, which an update does not bring");
        }
        for (String path : added) {
            Optional<String> obstacle = obstacle(workTree, path);
            if (obstacle.isPresent()) {
                return Optional.of("the untracked file " + obstacle.get() + " is in the way");
            }
        }
        return Optional.empty();
    }

    /** Looks on the disk, since git itself writes over files that it ignores. */
    private Optional<String> obstacle(Path workTree, String path) throws IOException {
        for (int end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) {
            String folder = path.substring(0, end);
            if (before.contains(folder) || !exists(workTree.resolve(folder))) {
                return Optional.empty(); // A file that goes, or nothing.
            }
            if (!isFolder(workTree.resolve(folder))) {
                return Optional.of(folder);
            }
        }
        Path file = workTree.resolve(path);
        if (!isFolder(file)) {
            return exists(file) ? Optional.of(path) : Optional.empty();
        }
        return strangerIn(workTree, file);
    }

    /** Finds a file below a folder that the first commit does not have. */
    private Optional<String> strangerIn(Path workTree, Path folder) throws IOException {
        List<String> strangers = new ArrayList<>();
        Files.walkFileTree(folder, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                String path = workTree.relativize(file).toString().replace('\\', '/');
                if (before.contains(path)) {
                    return FileVisitResult.CONTINUE;
                }
                strangers.add(path);
                return FileVisitResult.TERMINATE;
            }
        });
        return strangers.stream().findFirst();
    }

    private static boolean exists(Path file) {
        return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
    }

    /** Removes from the disk what only the second commit has. */
    void removeAdded(Path workTree) throws IOException {
        for (String path : added) {
            Path file = workTree.resolve(path);
            if (exists(file) && !isFolder(file) && foldersLeadTo(workTree, path)) {
                Files.delete(file);
            }
        }
    }

    private static boolean foldersLeadTo(Path workTree, String path) {
        for (int end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) {
            if (!isFolder(workTree.resolve(path.substring(0, end)))) {
                return false; // A link, which leads somewhere else.
            }
        }
        return true;
    }

    private static boolean isFolder(Path path) {
        return Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS);
    }
}
