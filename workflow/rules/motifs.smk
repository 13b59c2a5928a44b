# What `attribute --report` does after a run, as jobs of their own. Only `background` explains, and so may take a GPU.
rule shuffle:
    input:
        run=RUN,
    output:
        f"{OUT}/background/{{sample}}.{{model}}.fa",
    log:
        f"{OUT}/logs/shuffle/{{sample}}.{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/shuffle/{{sample}}.{{model}}.tsv"
    retries: RETRIES
    conda:
        "../envs/sparselrp.yaml"
    resources:
        mem_mb=more_memory_each_time("shuffle"),
        runtime=config["resources"]["shuffle"]["runtime"],
    shell:
        "exec sparselrp shuffle {input.run:q}/{wildcards.sample}.{wildcards.model}.h5 -o {output:q} 2> {log:q}"


# The null compares with the run only where model and settings are the same; `motifs` refuses anything else.
# exec and --resume as in rule attribute. The row for MultiQC goes: shuffled windows are no sample.
rule background:
    input:
        sequences=f"{OUT}/background/{{sample}}.{{model}}.fa",
        model=model_specs,
        weights=model_weights,
        tokens=model_tokens,
        targets=targets_file,
    output:
        archive=f"{OUT}/background/{{sample}}.{{model}}.h5",
        windows=f"{OUT}/background/{{sample}}.{{model}}.windows.tsv",
        skipped=f"{OUT}/background/{{sample}}.{{model}}.skipped.tsv",
        manifest=f"{OUT}/background/{{sample}}.{{model}}.manifest.json",
        multiqc=temp(f"{OUT}/background/{{sample}}.{{model}}_mqc.tsv"),
    log:
        f"{OUT}/logs/background/{{sample}}.{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/background/{{sample}}.{{model}}.tsv"
    retries: RETRIES
    conda:
        "../envs/sparselrp.yaml"
    threads: config["resources"]["attribute"]["threads"]
    resources:
        **GPUS,
        mem_mb=more_memory_each_time("attribute"),
        runtime=config["resources"]["attribute"]["runtime"],
    params:
        prefix=subpath(output.archive, strip_suffix=".h5"),
        inputs=inputs_as_options,
        settings=settings_as_options,
    shell:
        "exec sparselrp attribute {input.sequences:q} {params.inputs} {params.settings} --threads {threads}"
        " --resume --formats h5 -o {params.prefix:q} 2> {log:q}"


rule motifs:
    input:
        run=RUN,
        background=background,
        database=DATABASE_FILE,
    output:
        multiext(
            f"{OUT}/motifs/{PAIR}",
            seqlets=".seqlets.bed",
            seqlet_columns=".seqlets.as",
            hits=".hits.bed",
            hit_columns=".hits.as",
            meme=".motifs.meme",
            jaspar=".motifs.jaspar",
            transfac=".motifs.transfac",
            patterns=".motifs.h5",
            json=".motifs.json",
            multiqc=".motifs_mqc.tsv",
        ),
        table=report(
            f"{OUT}/motifs/{PAIR}.motifs.tsv",
            caption="../report/motifs.rst",
            category="Relevance",
            labels=labels("motifs"),
        ),
    log:
        f"{OUT}/logs/motifs/{PAIR}.log",
    benchmark:
        f"{OUT}/benchmarks/motifs/{PAIR}.tsv"
    retries: RETRIES
    conda:
        "../envs/sparselrp.yaml"
    threads: config["resources"]["motifs"]["threads"]
    resources:
        mem_mb=more_memory_each_time("motifs"),
        runtime=config["resources"]["motifs"]["runtime"],
    params:
        prefix=subpath(output.json, strip_suffix=".motifs.json"),
        target=target_of,
        null=null_as_options,
        settings=motif_settings_as_options,
    shell:
        "export NUMBA_NUM_THREADS={threads}; "
        "exec sparselrp motifs {input.run:q}/{wildcards.sample}.{wildcards.model}.h5"
        " {params.target} {params.null} {params.settings} --threads {threads} -o {params.prefix:q} 2> {log:q}"


# The best windows once more, as a report shows them beside the pruned ones; `merge` says which these are.
rule unpruned:
    input:
        genome=genome,
        run=RUN,
        model=model_specs,
        weights=model_weights,
        tokens=model_tokens,
        targets=targets_file,
    output:
        archive=f"{OUT}/unpruned/{{sample}}.{{model}}.h5",
        windows=f"{OUT}/unpruned/{{sample}}.{{model}}.windows.tsv",
        skipped=f"{OUT}/unpruned/{{sample}}.{{model}}.skipped.tsv",
        manifest=f"{OUT}/unpruned/{{sample}}.{{model}}.manifest.json",
        multiqc=temp(f"{OUT}/unpruned/{{sample}}.{{model}}_mqc.tsv"),
    log:
        f"{OUT}/logs/unpruned/{{sample}}.{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/unpruned/{{sample}}.{{model}}.tsv"
    retries: RETRIES
    conda:
        "../envs/sparselrp.yaml"
    threads: config["resources"]["attribute"]["threads"]
    resources:
        **GPUS,
        mem_mb=more_memory_each_time("attribute"),
        runtime=config["resources"]["attribute"]["runtime"],
    params:
        prefix=subpath(output.archive, strip_suffix=".h5"),
        inputs=inputs_as_options,
        settings=unpruned_settings_as_options,
    shell:
        "exec sparselrp attribute {input.genome:q}"
        " -r {input.run:q}/{wildcards.sample}.{wildcards.model}.top.narrowPeak {params.inputs} {params.settings}"
        " --threads {threads} --resume --formats h5 -o {params.prefix:q} 2> {log:q}"


rule report:
    input:
        run=RUN,
        motifs=f"{OUT}/motifs/{PAIR}.motifs.json",
        unpruned=unpruned,
        genes=genes,
    output:
        report(
            f"{OUT}/reports/{PAIR}.report.html",
            caption="../report/page.rst",
            category="Relevance",
            labels=labels("page"),
        ),
    log:
        f"{OUT}/logs/report/{PAIR}.log",
    benchmark:
        f"{OUT}/benchmarks/report/{PAIR}.tsv"
    retries: RETRIES
    conda:
        "../envs/sparselrp.yaml"
    resources:
        mem_mb=more_memory_each_time("report"),
        runtime=config["resources"]["report"]["runtime"],
    params:
        target=target_of,
        companions=companions_as_options,
    shell:
        "exec sparselrp report {input.run:q}/{wildcards.sample}.{wildcards.model}.h5 {params.target}"
        " --motifs {input.motifs:q} {params.companions} -o {output:q} 2> {log:q}"
