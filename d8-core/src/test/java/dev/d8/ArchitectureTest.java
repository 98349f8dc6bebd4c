package dev.d8;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import dev.d8.internal.PluginRegistry;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ServiceLoader;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The rules of docs/architecture.md that a machine can check. */
@AnalyzeClasses(packages = "dev.d8", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

    private static final String INTERNAL = "dev.d8.internal..";

    private static final DescribedPredicate<JavaClass> FOREIGN = DescribedPredicate.describe(
            "of internals or of a library",
            type -> type.getPackageName().startsWith("dev.d8.internal") || !isOurs(type));

    private static boolean isOurs(JavaClass type) {
        String name = type.getBaseComponentType().getPackageName();
        return type.getBaseComponentType().isPrimitive()
                || name.startsWith("dev.d8")
                || name.startsWith("java")
                || type.getName().equals("io.micrometer.core.instrument.MeterRegistry"); // The one exception.
    }

    @ArchTest
    static final ArchRule the_exported_packages_have_no_cycles =
            slices().matching("dev.d8.(master|slave|spi|version)..").should().beFreeOfCycles();

    @ArchTest
    static final ArchRule the_words_know_neither_master_nor_slave = noClasses()
            .that()
            .resideInAPackage("dev.d8")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("dev.d8.master..", "dev.d8.slave..", "dev.d8.version..");

    @ArchTest
    static final ArchRule master_and_slave_do_not_know_each_other = noClasses()
            .that()
            .resideInAPackage("dev.d8.master..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("dev.d8.slave..")
            .orShould()
            .dependOnClassesThat()
            .resideInAPackage("io.netty..");

    @ArchTest
    static final ArchRule public_signatures_show_no_internals_and_no_library = methods()
            .that()
            .arePublic()
            .and()
            .areDeclaredInClassesThat()
            .resideOutsideOfPackage(INTERNAL)
            .and()
            .areDeclaredInClassesThat()
            .arePublic()
            .should(new ArchCondition<JavaMethod>("use only types of D8 and of Java") {
                @Override
                public void check(JavaMethod method, ConditionEvents events) {
                    Stream.concat(Stream.of(method.getRawReturnType()), method.getRawParameterTypes().stream())
                            .filter(FOREIGN)
                            .forEach(type -> events.add(SimpleConditionEvent.violated(
                                    method, method.getFullName() + " shows " + type.getName())));
                }
            });

    @ArchTest
    static final ArchRule only_the_system_time_source_reads_a_clock_or_sleeps = noClasses()
            .that()
            .doNotHaveSimpleName("SystemTimeSource")
            .should()
            .callMethod(System.class, "nanoTime")
            .orShould()
            .callMethod(System.class, "currentTimeMillis")
            .orShould()
            .callMethod(Thread.class, "sleep", long.class);

    @ArchTest
    static final ArchRule only_the_plugin_registry_uses_the_service_loader = noClasses()
            .that()
            .doNotHaveFullyQualifiedName(PluginRegistry.class.getName())
            .should()
            .dependOnClassesThat()
            .belongToAnyOf(ServiceLoader.class);

    @ArchTest
    static final ArchRule jackson_2_is_for_others =
            noClasses().should().dependOnClassesThat().resideInAPackage("com.fasterxml.jackson..");

    @ArchTest
    static final ArchRule no_static_holds_state = classes()
            .should(new ArchCondition<JavaClass>("hold no static state") {
                @Override
                public void check(JavaClass type, ConditionEvents events) {
                    type.getFields().stream()
                            .filter(field -> field.getModifiers().contains(JavaModifier.STATIC)
                                    && !field.getModifiers().contains(JavaModifier.FINAL)
                                    && !field.getModifiers().contains(JavaModifier.SYNTHETIC))
                            .forEach(field -> events.add(SimpleConditionEvent.violated(field, field.getFullName())));
                }
            });

    @Test
    void a_newcomer_reads_the_plugin_interfaces_in_one_sitting() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/main/java/dev/d8/spi"))) {
            long lines = files.flatMap(ArchitectureTest::lines)
                    .filter(line -> !line.isBlank() && !line.strip().startsWith("import "))
                    .filter(line ->
                            !line.strip().startsWith("*") && !line.strip().startsWith("/*"))
                    .count();
            assertThat(lines).isLessThan(400);
        }
    }

    private static Stream<String> lines(Path file) {
        try {
            return Files.readAllLines(file).stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
