"""Changes to lists, objectives, finetuning, evaluation and plots, each of which would give wrong results silently.

A text must stand exactly once in its file. What changes no result (such as a mask that nothing reads) isn't listed.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One change: `old` in `file` becomes `new`."""

    file: str
    name: str
    old: str
    new: str


_BUDGET = "llara_core/outside_judge/budget.py"
_PATIENCE = "llara_core/outside_judge/patience.py"
_STORE = "llara_core/outside_judge/store.py"
_ENDPOINT = "llara_core/outside_judge/endpoint.py"
_REPLIES = "llara_core/outside_judge/replies.py"
_WRITING = "llara_core/runtime/files.py"
_REPLY_BOUNDS = "llara_core/outside_judge/bounds.py"
_LISTS_ASKED = "llara_core/outside_judge/lists.py"
_SETTINGS = "llara_core/outside_judge/settings.py"
_OUTSIDE = "llara_core/outside_judge/judging.py"
_PLAN = "llara_core/objectives/prompt_plan.py"
_CURRICULUM = "llara_core/objectives/curriculum.py"
_STEPS = "llara_core/objectives/step_plan.py"
_RATES = "llara_core/objectives/objective.py"
_TRAINER = "llara_core/finetuning/trainer.py"
_VALIDATION = "llara_core/objectives/answer/objective.py"
_WATCH = "llara_core/finetuning/watch.py"
_RATE = "llara_core/finetuning/learning_rate.py"
_TUNING = "llara_core/finetuning/tuning.py"
_WHOLE = "llara_core/evaluation/judging.py"
_ARTIFACTS = "llara_core/evaluation/artifacts.py"
_CATALOGUE = "llara_core/objectives/catalogue.py"
_PROBES = "llara_core/evaluation/probes.py"
_PIECES = "llara_core/evaluation/pieces.py"
_PER_LIST = "llara_core/evaluation/per_list.py"
_REPORT = "llara_core/evaluation/report.py"
_REMARKS = "llara_core/evaluation/remarks.py"
_SIGNIFICANCE = "llara_core/evaluation/significance.py"
_COMPARISON = "llara_core/evaluation/comparison.py"
_COMPARED = "llara_core/evaluation/comparison_report.py"
_PREDICTIONS = "llara_core/tables/predictions.py"
_CHECKPOINTS = "llara_core/runtime/checkpoints.py"
_COMPUTE = "llara_core/runtime/compute.py"
_FINGERPRINT = "llara_core/runtime/fingerprint.py"
_PROGRAM = "llara_core/runtime/program.py"
_WANTED = "llara_core/runtime/division.py"
_FAILING = "llara_core/runtime/failing.py"
_DIVISION = "llara_core/hybrid/division.py"
_AGREEING = "llara_core/finetuning/agreeing.py"
_BLENDING = "llara_core/evaluation/blending.py"
_CURVE = "llara_core/finetuning/curve.py"
_RUNS = "llara_core/experiments/runs.py"
_PIPELINE = "llara_core/experiments/pipeline.py"
_RECORDS = "llara_core/experiments/records.py"
_PLAN_OF_RUNS = "llara_core/experiments/plan.py"
_OUTCOME = "llara_core/experiments/outcome.py"
_JOURNAL = "llara_core/experiments/journal.py"
_JUDGED = "llara_core/reporting/judgement.py"
_ROWS = "llara_core/reporting/tables.py"
_ORIGIN = "llara_core/reporting/origin.py"
_CELLS = "llara_core/reporting/table.py"
_CURVES = "llara_core/reporting/curves.py"
_CONCLUSION = "llara_core/reporting/conclusion.py"
_CROSSOVER = "llara_core/reporting/crossover.py"
_DIFFERING = "llara_core/reporting/param_differences.py"
_ANCHORS = "llara_core/reporting/anchors.py"
_PAGE = "llara_core/reporting/page.py"
_FOLDER = "llara_core/reporting/writing.py"
_SECTION = "llara_core/reporting/section.py"
_OF_MODELS = "llara_core/reporting/evaluation.py"
_LATEX = "llara_core/reporting/latex.py"
_INLINE = "llara_core/plotting/inline.py"
_OVERALL = "llara_core/evaluation/comparison_report.py"
_SHAPES = "llara_core/planning/shapes.py"
_TRAINED = "llara_core/planning/trained.py"
_KEPT = "llara_core/planning/activations.py"
_MEMORY = "llara_core/planning/memory.py"
_WORKLOAD = "llara_core/planning/workload.py"
_COUNTING = "llara_core/planning/counting.py"
_ADVICE = "llara_core/planning/advice.py"
_FOUR_BITS = "llara_core/planning/quantised.py"
_MICRO_BATCH = "llara_core/planning/micro_batch.py"
_ATTENTION = "llara_core/hybrid/attention.py"
_FAMILIES = "llara_core/hybrid/families.py"
_MASKS = "llara_core/hybrid/masks.py"
_MODEL_FOLDER = "llara_core/hybrid/model_folder.py"
_NF4 = "llara_core/hybrid/nf4.py"
_SETTLING = "stages/micro_batches.py"
_ADAPTER = "llara_core/hybrid/adapter.py"
_BASE = "llara_core/hybrid/base_llm.py"
_BATCHING = "llara_core/hybrid/batching.py"
_MODEL = "llara_core/hybrid/model.py"
_PROJECTOR = "llara_core/hybrid/projector.py"
_QUESTIONS = "llara_core/hybrid/questions.py"
_READ_PROMPTS = "llara_core/hybrid/reading.py"
_ROW_CACHE = "llara_core/hybrid/row_cache.py"
_SPLICE = "llara_core/hybrid/splice.py"
_SEGMENTS = "llara_core/prompting/segments.py"
_CHAT = "llara_core/prompting/chat.py"
_ENCODING = "llara_core/prompting/encoding.py"
_PREFIXES = "llara_core/prompting/prefixes.py"
_ANSWERS = "llara_core/objectives/answer/prompts.py"
_LORA = "llara_core/hybrid/lora_linear.py"
_POINTS = "llara_core/objectives/choice/prompts.py"
_POINTER = "llara_core/objectives/choice/model.py"
_CHOOSER = "llara_core/objectives/choice/objective.py"
_CHOOSING = "llara_core/objectives/choice/respondent.py"
_ASKING = "llara_core/objectives/answer/asking.py"
_RESPONDENT = "llara_core/objectives/answer/respondent.py"
_GENERATION = "llara_core/objectives/answer/generation.py"
_GREEDY = "llara_core/objectives/answer/writing.py"
_CONSTRAINED = "llara_core/objectives/answer/constrained.py"
_MATCHING = "llara_core/objectives/answer/matching.py"
_METRICS = "llara_core/evaluation/metrics.py"
_RECOMMENDERS = "llara_core/evaluation/recommenders.py"
_SCORING = "llara_core/objectives/answer/scoring.py"
_STATISTICS = "llara_core/evaluation/statistics.py"
_HISTORIES = "llara_core/prompting/histories.py"
_HEAD = "llara_core/hybrid/recommender_head.py"
_CHUNKS = "llara_core/objectives/stream/chunks.py"
_STREAM = "llara_core/objectives/stream/model.py"
_STREAMS = "llara_core/objectives/stream/objective.py"
_POSITIONS = "llara_core/objectives/stream/validation.py"
_ASKED = "llara_core/objectives/asking.py"
_READER = "llara_core/objectives/stream/respondent.py"
_PLOTS = "llara_core/evaluation/plots.py"
_PLOT = "llara_core/plotting/plot.py"
_VEGA = "llara_core/plotting/vega.py"
_BARS = ".dvc/plots/bars.json"
_PANELS = ".dvc/plots/parts.json"
_RELIABILITY = ".dvc/plots/calibration.json"
_LINES = ".dvc/plots/curve.json"
_NEGATIVES = "llara_core/sequences/negatives.py"
_PROPOSALS = "llara_core/sequences/proposals.py"
_POOLS = "llara_core/recommenders/pools.py"
_HARD = "llara_core/evaluation/hard_lists.py"
_LISTS = "llara_core/tables/asked_lists.py"
_STAGE = "stages/candidates.py"
_LEFT_OUT = "llara_core/objectives/stream/left_out.py"
_SERVICE = "llara_core/recommending/service.py"
_SCORES = "llara_core/recommending/scoring.py"
_CALIBRATION = "llara_core/recommending/calibration.py"
_TITLES = "llara_core/recommending/titles.py"
_KEYS = "llara_core/recommending/title_keys.py"
_TYPED = "llara_core/recommending/reading.py"
_BATCH = "llara_core/recommending/batch.py"
_HISTORY_ROWS = "llara_core/tables/histories.py"
_PIECES_OF_PROMPTS = "llara_core/exporting/pieces.py"
_MERGING = "llara_core/hybrid/merging.py"
_EXPORTED = "llara_core/exporting/merging.py"
_EXPORT = "llara_core/exporting/export.py"
_DESTINATION = "llara_core/exporting/destination.py"
_TERMS = "llara_core/exporting/dataset_terms.py"
_RECORDED = "llara_core/evaluation/recorded.py"
_LICENCES = "llara_core/datasets/licences.py"
_THREAD = "llara/serving/model_thread.py"
_QUESTION = "llara/serving/reading.py"
_BOUNDS = "llara/serving/limits.py"
_SERVER = "llara/serving/server.py"
_SENT = "llara/serving/schema.py"
_EXPERIMENTS = "stages/experiments.py"
_CHECKOUTS = "stages/checkouts.py"
_GRID = "stages/grid.py"

_EXAMPLES = [
    Mutant(_PLAN, "padding shown as an item", "shown[i][shown[i] != PADDING_ID]", "shown[i]"),
    Mutant(_ANSWERS, "every prompt hybrid", "drawn.candidates, mode)", 'drawn.candidates, "hybrid")'),
    Mutant(_PLAN, "mode of the step before", "self.modes_of(step)", "self.modes_of(max(step - 1, 1))"),
    Mutant(_PLAN, "modes of other examples", "Planned(questions[i], modes[i])", "Planned(questions[i], modes[-1 - i])"),
    Mutant(_PLAN, "all lengths those of the first mode", "lengths[mode][row]", "lengths[modes[0]][row]"),
    Mutant(
        _PLAN, "training on test positions", 'all_positions(sequences, "train",', 'all_positions(sequences, "test",'
    ),
    Mutant(_PLAN, "min_history ignored", "params.split.min_history)", "1)"),
    Mutant(
        _PLAN, "candidates.negatives ignored", "negatives=params.candidates.negatives", 'negatives="outside_recent"'
    ),
    Mutant(_PLAN, "candidates around another example's target", "keys, goals, excluded", "keys, goals[::-1], excluded"),
    Mutant(_PLAN, "always the official negatives", '"train", settings.negatives', '"train", "outside_recent"'),
    Mutant(_PLAN, "never the official negatives", '"train", settings.negatives', '"train", "outside_history"'),
    Mutant(_PLAN, "negatives by another history length", "negatives, settings.history_length", "negatives, 1"),
    Mutant(
        _PLAN, "always template 0", "random_integers(words, len(self._writer.templates))", "np.zeros(len(words), int)"
    ),
    Mutant(_PLAN, "never the last template", "len(self._writer.templates))", "len(self._writer.templates) - 1)"),
    Mutant(_PLAN, "the same template in each pass", "_TEMPLATE, passes, chosen", "_TEMPLATE, chosen"),
    Mutant(_PLAN, "template seed constant", "random_words(settings.seed, _TEMPLATE", "random_words(0, _TEMPLATE"),
    Mutant(_PLAN, "candidate seed constant", "draw_candidates(settings.seed,", "draw_candidates(0,"),
    Mutant(_PLAN, "the same candidates in each pass", '"train")), passes, chosen)', '"train")), chosen)'),
    Mutant(_STEPS, "shuffle seed constant", "random_permutation(self.settings.seed,", "random_permutation(0,"),
    Mutant(_STEPS, "epoch ignored in the order", "_SHUFFLE + epoch", "_SHUFFLE"),
    Mutant(
        _PLAN, "a history one item longer", "batch, settings.history_length)", "batch, settings.history_length + 1)"
    ),
    Mutant(
        _PLAN, "a history one item shorter", "batch, settings.history_length)", "batch, settings.history_length - 1)"
    ),
    Mutant(
        _PLAN, "target one item too early", "self._examples.positions[chosen])", "self._examples.positions[chosen] - 1)"
    ),
    Mutant(_STEPS, "examples of the step before", "self._step(step + 1)[place]", "self._step(max(step, 1))[place]"),
    Mutant(_STEPS, "curriculum one step late", "self.settings.batch_size + 1)", "self.settings.batch_size)"),
    Mutant(_STEPS, "epochs ignored", "params.curriculum.epochs * recipe", "recipe"),
    Mutant(_STEPS, "curriculum seed constant", "settings.batch_size, settings.seed)", "settings.batch_size, 0)"),
    Mutant(_CURRICULUM, "probability 0 at the first step", "share = step / n_steps", "share = (step - 1) / n_steps"),
    Mutant(_CURRICULUM, "reverse ends at 0", "(n_steps + 1 - step)", "(n_steps - step)"),
    Mutant(_CURRICULUM, "power upside down", "share**curriculum.exponent", "share ** (1 / curriculum.exponent)"),
    Mutant(_CURRICULUM, "a text step too few", "step > round(curriculum.text", "step >= round(curriculum.text"),
    Mutant(_CURRICULUM, "hybrid first, text last", "*coordinates)) < hybrid", "*coordinates)) > hybrid"),
    Mutant(_CURRICULUM, "one draw for all steps", "[step, np.arange(batch_size)]", "[1, np.arange(batch_size)]"),
    Mutant(_CURRICULUM, "one draw for all batches", "[step] if curriculum", "[1] if curriculum"),
    Mutant(_CURRICULUM, "always by batch", 'curriculum.drawn_per == "batch"', "True"),
    Mutant(_CURRICULUM, "the projector never alone", "return begin < step <= end", "return False"),
    Mutant(_CURRICULUM, "the projector alone a step too long", "begin < step <= end", "begin < step <= end + 1"),
    Mutant(_CURRICULUM, "mode seed constant", "random_words(seed,", "random_words(0,"),
]

_OPTIMISATION = [
    Mutant(_RATE, "constant schedule", "if step <= peak:", "if step > peak:\n        return 1.0\n    if True:"),
    Mutant(_RATE, "a first step without rate", "return step / peak", "return (step - 1) / peak"),
    Mutant(_RATE, "cosine of one step less", "(n_steps + 1 - peak)", "(n_steps - peak)"),
    Mutant(_TRAINER, "a step late in the schedule", "rate_factor(done + 1,", "rate_factor(done + 2,"),
    Mutant(
        _TRAINER, "the same dropout in each step", "state.global_step + 1, args.process_index", "1, args.process_index"
    ),
    Mutant(
        _TRAINER,
        "the same dropout in each process",
        "state.global_step + 1, args.process_index",
        "state.global_step + 1",
    ),
    Mutant(_TRAINER, "precision ignored", 'mixed_precision("train.precision", params.precision)', '"no"'),
    Mutant(_VALIDATION, "validated on test users", 'sets.of("validation"', 'sets.of("test"'),
    Mutant(_VALIDATION, "validated on every draw", ", n_draws=1)", ")"),
    Mutant(_VALIDATION, "validated in another mode", "self.plan.last_mode", '"hybrid"'),
    Mutant(
        _VALIDATION,
        "answers that aren't the target",
        "for target in sets.targets]",
        "for target in sets.candidates[:, 0]]",
    ),
    Mutant(_VALIDATION, "both modes hybrid", "mode=mode,", 'mode="hybrid",'),
    Mutant(_VALIDATION, "validated in full precision", "autocast(self._precision)", 'autocast("float32")'),
    Mutant(_TUNING, "the last weights for the best", "watch.restore_best()", "pass"),
    Mutant(_TUNING, "average ignored", "recipe.average,", "0.0,"),
    Mutant(_TUNING, "patience ignored", "validation.patience", "99"),
    Mutant(_TUNING, "params.seed ignored", "seed_torch(params.seed)", "seed_torch(0)"),
    Mutant(_TRAINER, "no warm-up", "warmup_steps=round(params.warmup * n_steps)", "warmup_steps=0"),
    Mutant(_TRAINER, "no clipping", "max_grad_norm=params.max_grad_norm", "max_grad_norm=1e9"),
    Mutant(_TRAINER, "weight decay .5", "weight_decay=params.weight_decay", "weight_decay=0.5"),
    Mutant(_TRAINER, "no weight decay", "weight_decay=self.args.weight_decay", "weight_decay=0.0"),
    Mutant(_TRAINER, "Adam with L2", "torch.optim.AdamW(", "torch.optim.Adam("),
    Mutant(_TRAINER, "loss × 3", "model(**inputs) /", "3 * model(**inputs) /"),
    Mutant(
        _TRAINER,
        "mean of the micro-batches' means",
        "/ n_targets",
        "/ (inputs['labels'] != -100).sum() / self.args.gradient_accumulation_steps",
    ),
    Mutant(_TRAINER, "number of processes dropped", " * self.accelerator.num_processes", ""),
    Mutant(_TRAINER, "one rate for all groups", '"lr": rate', '"lr": self.args.learning_rate'),
    Mutant(_RATES, "projector_lr ignored", "recipe.projector_lr", "recipe.lr"),
    Mutant(_RATES, "lr ignored", "(lora, recipe.lr)", "(lora, 1e-3)"),
    Mutant(
        _RATES,
        "half of the projector left out",
        "hybrid.projector.parameters()",
        "hybrid.projector.last.parameters()",
    ),
    Mutant(
        _TRAINER,
        "no accumulation",
        "gradient_accumulation_steps=recipe.batch_size // per_round",
        "gradient_accumulation_steps=1",
    ),
    Mutant(
        _TRAINER,
        "examples in another order",
        "SequentialSampler(self.train_dataset)",
        "SequentialSampler(self.train_dataset) and list(range(len(self.train_dataset)))[::-1]",
    ),
    Mutant(_TRAINER, "a loss that isn't finite", "if not torch.isfinite(loss)", "if False"),
    Mutant(
        _TRAINER, "weights not restored", "load_trainable(self.model, Path(resume_from_checkpoint) / _WEIGHTS)", "pass"
    ),
    Mutant(_TRAINER, "moments not restored", "load_optimizer(self.optimizer, Path(checkpoint) / _OPTIMIZER)", "pass"),
    Mutant(_TRAINER, "schedule not restored", "self._restore_schedule()", "pass"),
    Mutant(
        _TRAINER, "loss divided once more", "self.loss_is_scaled_for_ga = True", "self.loss_is_scaled_for_ga = False"
    ),
    Mutant(_TRAINER, "no step without the projector", "find_unused_parameters=True", "find_unused_parameters=False"),
    Mutant(_RATES, "validation with dropout", "    model.eval()", "    pass"),
    Mutant(_RATES, "mode not restored", "model.train(training)", "pass"),
    Mutant(_RATES, "mode always training afterwards", "model.train(training)", "model.train()"),
    Mutant(_VALIDATION, "loss per example", "sum(len(answer) for _, answer in ordered)", "len(ordered)"),
    Mutant(
        _VALIDATION,
        "the last batch left out",
        "range(0, len(ordered), batch_size)",
        "range(0, len(ordered) - batch_size, batch_size)",
    ),
    Mutant(_CURVE, "probability of the step before", "hybrid_probability(step)", "hybrid_probability(step - 1)"),
    Mutant(_CURVE, "modes of the step before", "plan.modes_of(step)", "plan.modes_of(step - 1)"),
    Mutant(
        _CURVE,
        "intended for realised",
        'sum(mode != "text" for mode in modes) / len(modes)',
        "plan.hybrid_probability(step)",
    ),
    Mutant(_TRAINER, "LoRA learns beside the projector", "weight.grad = None", "pass"),
    Mutant(
        _TRAINER,
        "the projector alone a step late",
        "alone(self.state.global_step + 1)",
        "alone(self.state.global_step)",
    ),
]

_CHOICE = [
    Mutant(_WATCH, "weights measured, not their average", "_copy(self._average, self._weights)", "pass"),
    Mutant(_WATCH, "training goes on with the average", "_copy(trained, self._weights)", "pass"),
    Mutant(
        _WATCH,
        "only measured steps averaged",
        "self._update(step)\n",
        "_ = step * times // n_steps == (step - 1) * times // n_steps or self._update(step)\n",
    ),
    Mutant(_WATCH, "the last weights for the best", "_copy(self._best, self._weights)", "pass"),
    Mutant(
        _WATCH, "the beginning not forgotten", "min(self.settings.average, step / (9 + step))", "self.settings.average"
    ),
    Mutant(_WATCH, "as much forgotten as should be kept", "1 - kept)", "kept)"),
    Mutant(
        _WATCH,
        "the best goes on to change",
        "{name: weight.clone() for name, weight in self._average.items()}",
        "dict(self._average)",
    ),
    Mutant(_WATCH, "the last of equally good ones", "max(self.scores, key=", "max(reversed(self.scores), key="),
    Mutant(_WATCH, "average not restored", "_copy(load_file(folder / _AVERAGE), self._average)", "pass"),
    Mutant(
        _WATCH,
        "best not restored",
        "{name: weight.to(self._average[name]) for name, weight in load_file(folder / _BEST).items()}",
        "dict(self._average)",
    ),
    Mutant(_WATCH, "scores not restored", "self.scores = dict(json", "dict(json"),
    Mutant(_WATCH, "patience for one more", "waited >= self", "waited > self"),
    Mutant(_WATCH, "a checkpoint where patience ends", "control.should_save = False", "pass"),
    Mutant(_WATCH, "measured a step early", "if step < self.settings", "step += 1\n        if step < self.settings"),
    Mutant(_WATCH, "a score that is no number", "if not math.isfinite(score):", "if False:"),
    Mutant(_WATCH, "each process by its own score", "broadcast_object_list([self._measure()])", "[self._measure()]"),
    Mutant(_BLENDING, "scales as they are", "centred / np.where(deviation > 0, deviation, 1)", "centred"),
    Mutant(_BLENDING, "one scale for all lists", "centred.std(axis=1, keepdims=True)", "centred.std(keepdims=True)"),
    Mutant(_BLENDING, "equal scores not zero", "np.where(flat, 0,", "np.where(False, 0,"),
    Mutant(
        _BLENDING,
        "the other one's weight",
        "return weight * standardize(first) + (1 - weight)",
        "return (1 - weight) * standardize(first) + weight",
    ),
    Mutant(
        _BLENDING, "ties count for the target", "(scores >= own).sum(axis=1) == 1", "(scores > own).sum(axis=1) == 0"
    ),
    Mutant(_BLENDING, "hits at 2", "(scores >= own).sum(axis=1) == 1", "(scores >= own).sum(axis=1) <= 2"),
    Mutant(_BLENDING, "the least of equally good weights", "best[len(best) // 2]", "best[0]"),
    Mutant(_BLENDING, "another list's target", "scores[rows, target_indices]", "scores[rows, target_indices[::-1]]"),
]

_ACROSS_FAMILIES = [
    Mutant(_ADAPTER, "a Gemma's words as they are stored", "stored * _embedding_scale(embedding)", "stored"),
    Mutant(_MODEL, "logits not capped", "return logits if cap is None else", "return logits if True else"),
    Mutant(_MODEL, "logits capped twice as high", "cap * (logits / cap).tanh()", "cap * (logits / (2 * cap)).tanh()"),
    Mutant(
        _MODEL, "windows by places in the row", "places[:, :, None] - positions[:, None, :]", "places[:, :, None] * 0"
    ),
    Mutant(
        _MODEL,
        "a batch read up to the shortest prompt",
        "lengths - 1\n",
        "(lengths - 1).clamp(max=lengths.min() - 1)\n",
    ),
    Mutant(_MODEL, "the last layer half read for good", "hook.remove()", "pass"),
    Mutant(_MODEL, "flash attention gets masks", "if chosen == FLASH:", "if False:"),
    Mutant(_MODEL, "flash attention is gone for good", "config._attn_implementation = chosen", "pass"),
    Mutant(_MASKS, "a window one wider", "distance < window", "distance <= window"),
    Mutant(_MASKS, "no windows", "visible & (distance < window)", "visible"),
    Mutant(_MASKS, "windows everywhere", '{"full_attention": whole, "sliding', '{"full_attention": near, "sliding'),
    Mutant(
        _READ_PROMPTS, "a cache that forgets", "cache = DynamicCache()", "cache = DynamicCache(config=model.llm.config)"
    ),
    Mutant(_SCORING, "answers at the prompt's places", "own = lengths + offsets", "own = lengths + 0 * offsets"),
    Mutant(_FAMILIES, "kinds of the upper layers", "kinds[:layers]", "kinds[layers:]"),
    Mutant(_FAMILIES, "Gemma 2 taken for uncapped", 'config.model_type == "gemma2" or', ""),
    Mutant(_FAMILIES, "a Mistral without windows", '"mistral": "everywhere"', '"mistral": "none"'),
    Mutant(_MODEL_FOLDER, "positions that others move", "if kind in _MOVING", "if False"),
    Mutant(_MODEL_FOLDER, "positions that others move in some layers", "(rotary, *rotary.values())", "(rotary,)"),
    Mutant(_ATTENTION, "flash attention in float32", 'if llm.dtype != "bfloat16":', "if False:"),
    Mutant(_ATTENTION, "flash attention on any GPU", " < _CAPABILITY:", " < (0, 0):"),
    Mutant(_ATTENTION, "sdpa without caps", 'llm.attention == "sdpa" and caps', 'llm.attention == "" and caps'),
    Mutant(
        _ATTENTION,
        "training with a stand-in",
        "llm.attention == FLASH and may_stand_in and",
        "llm.attention == FLASH and",
    ),
]

_TENSORS = [
    Mutant(_PROJECTOR, "outputs scaled the wrong way", "output_rms / _root", "_root"),
    Mutant(_PROJECTOR, "size of the last chunk alone", "total += ", "total = "),
    Mutant(_SPLICE, "slots in reverse", "slot_vectors.to(", "slot_vectors.flip(0).to("),
    Mutant(_MODEL, "slots left empty", "if not len(slot_items):", "if True:"),
    Mutant(
        _MODEL,
        "embedding of the item before",
        "self.item_embeddings[slot_items]",
        "self.item_embeddings[slot_items - 1]",
    ),
    Mutant(_MODEL, "labels not shifted", "following = labels[:, 1:]", "following = labels[:, :-1]"),
    Mutant(_MODEL, "states one place late", "states[:, :-1][answers]", "states[:, 1:][answers]"),
    Mutant(_MODEL, "mean instead of sum", 'reduction="sum"', 'reduction="mean"'),
    Mutant(_MODEL, "logits in half precision", "torch.promote_types(logits.dtype, torch.float32)", "logits.dtype"),
    Mutant(
        _MODEL, "logits never in double precision", "torch.promote_types(logits.dtype, torch.float32)", "torch.float32"
    ),
    Mutant(_BATCHING, "labels one place early", "start = len(prompt.input_ids)", "start = len(prompt.input_ids) - 1"),
    Mutant(
        _BATCHING, "the last answer token not learnt", "torch.tensor(answer)", "torch.tensor([*answer[:-1], IGNORED])"
    ),
    Mutant(_BATCHING, "slot mask shifted", "torch.tensor(prompt.slot_mask)", "torch.tensor(prompt.slot_mask).roll(1)"),
    Mutant(_PROJECTOR, "no nonlinearity", "gelu(layer(embeddings))", "layer(embeddings)"),
    Mutant(_PROJECTOR, "inputs scaled the wrong way", "layer.weight.div_(", "layer.weight.mul_("),
    Mutant(_PROJECTOR, "first bias left", "layer.bias.zero_()", "pass"),
    Mutant(_PROJECTOR, "last bias left", "self.last.bias.zero_()", "pass"),
    Mutant(_QUESTIONS, "always template 0", "Question(template, history[", "Question(0, history["),
    Mutant(_QUESTIONS, "always hybrid", "asked.candidates, mode)", 'asked.candidates, "hybrid")'),
    Mutant(_QUESTIONS, "histories of neighbours", "zip(shown, sets", "zip(shown[::-1], sets"),
    Mutant(
        _VALIDATION,
        "history one item longer",
        "sets), params.split.history_length)",
        "sets), params.split.history_length + 1)",
    ),
    Mutant(_QUESTIONS, "candidates sorted", "row.tolist(), int(target)", "sorted(row.tolist()), int(target)"),
    Mutant(_QUESTIONS, "padding shown as an item", "history[history != PADDING_ID]", "history"),
    Mutant(_ENCODING, "answers without an end", ", self.eos_id]", "]"),
    Mutant(
        _ENCODING,
        "two beginnings of text",
        "beginning = [self._tokenizer.bos_token_id] if",
        "beginning = 2 * [self._tokenizer.bos_token_id] if",
    ),
]

_PARTS = [
    Mutant(_ADAPTER, "alpha for rank", "r=lora.rank", "r=lora.alpha"),
    Mutant(_ADAPTER, "rank for alpha", "lora_alpha=lora.alpha", "lora_alpha=lora.rank"),
    Mutant(_ADAPTER, "LoRA dropout ignored", "lora_dropout=lora.dropout", "lora_dropout=0.0"),
    Mutant(
        _ADAPTER,
        "LoRA targets ignored",
        "else lora.targets,",
        'else ["q_proj"],',
    ),
    Mutant(_ADAPTER, "unknown LoRA targets left out", "(unknown := _not_among(", "(unknown := [] and _not_among("),
    Mutant(_ADAPTER, "parts of names taken for LoRA targets", '.endswith(f".{target}")', ".endswith(target)"),
    Mutant(_ADAPTER, "projector's size from padding too", "calibrate(vectors[1:]", "calibrate(vectors"),
    Mutant(_ADAPTER, "projector not calibrated", "fresh.calibrate(", "(lambda *_: None)("),
    Mutant(_ADAPTER, "tuned model in training mode", "return model.eval()", "return model.train()"),
    Mutant(_ADAPTER, "projector not loaded", "model.projector.load_state_dict(", "dict("),
    Mutant(_ADAPTER, "projector saved as zeros", "tensor.detach().contiguous()", "(0 * tensor).detach().contiguous()"),
    Mutant(_ADAPTER, "an adapter of other items", "require_lineage(path, manifest.made_from, made_from)", "pass"),
    Mutant(_BASE, "base model not frozen", "requires_grad_(requires_grad=False)", "requires_grad_(requires_grad=True)"),
    Mutant(_BASE, "base model in training mode", ".eval()", ".train()"),
    Mutant(_BASE, "dtype ignored", "getattr(torch, llm.dtype)", "torch.float32"),
    Mutant(_BASE, "revision ignored", "revision=llm.revision", 'revision="main"'),
]

_JUDGING = [
    Mutant(_RESPONDENT, "asked without behavioural tokens", "mode=tuned.mode", 'mode="text"'),
    Mutant(_ASKED, "asked after the last item alone", "sets, self.manifest.history_length", "sets, 1"),
    Mutant(_ASKED, "histories as they are under a probe", "self.rearrange(shown), example", "shown, example"),
    Mutant(_RESPONDENT, "histories of neighbours", "shown[example]", "shown[example[::-1]]"),
    Mutant(_RESPONDENT, "eval.template ignored", "template=tuned.params.template", "template=0"),
    Mutant(_RESPONDENT, "one draw too many", "sets.draws < self", "sets.draws <= self"),
    Mutant(_WHOLE, "asked of validation users", "(respondent.answer, sets)}", "(respondent.answer, validation)}"),
    Mutant(_WHOLE, "weight chosen on test", "(respondent.answer, validation)", "(respondent.answer, sets)"),
    Mutant(
        _WHOLE, "weight chosen after the last item alone", "sequences, validation, length)", "sequences, validation, 1)"
    ),
    Mutant(_WHOLE, "the other one's weight", "blend(ours, theirs, weight)", "blend(ours, theirs, 1 - weight)"),
    Mutant(_WHOLE, "always the last position", ", params.eval.positions)\n", ', "last")\n'),
    Mutant(_WHOLE, "limit ignored", "params.eval.limit is None or", "True or"),
    Mutant(_WHOLE, "the first examples instead of drawn ones", "examples[chosen]", "examples[: len(chosen)]"),
    Mutant(
        _WHOLE,
        "guesses by place",
        "random_shares(random_words(",
        "0 * sets.candidates + places + 0 * random_shares(random_words(",
    ),
    Mutant(_WHOLE, "seen items ranked", "exclude_seen=params.eval.exclude_seen", "exclude_seen=False"),
    Mutant(_ARTIFACTS, "any base model will do", '{"llm": llm_digest(manifest.llm)}', "{}"),
    Mutant(
        _ARTIFACTS,
        "any embeddings will do",
        "read_manifest(adapter, lineage)",
        "read_manifest(adapter, tables.lineage)",
    ),
    Mutant(_CATALOGUE, "ranks of neighbours", "ranking.ranks[example]", "ranking.ranks[example[::-1]]"),
    Mutant(_CATALOGUE, "targets are seen items", "targets(tables.sequences, asked)", "shown[:, -1]"),
    Mutant(_CATALOGUE, "no numbers accepted", "    require_finite(torch.from_numpy(scores))\n", ""),
    Mutant(
        _PROBES, "vectors in their places", "other[1:] = vectors[torch", "other[1:] = vectors[1:] + 0 * vectors[torch"
    ),
    Mutant(_PROBES, "vectors of padding", "1 + random_permutation(", "random_permutation("),
    Mutant(_PROBES, "the mode stays", "replace(tuned, mode=mode)", "tuned"),
    Mutant(_PROBES, "one order for all histories", "*(shown[:, [place]] for place in range(shown.shape[1])), ", ""),
    Mutant(_PROBES, "padding among the items", " + (shown != PADDING_ID)", ""),
    Mutant(
        _PROBES,
        "scores in the shuffled order",
        "np.put_along_axis(scores, order, found.scores, axis=1)",
        "scores[:] = found.scores",
    ),
    Mutant(
        _PROBES, "candidates in their order", "np.take_along_axis(sets.candidates, order, axis=1)", "sets.candidates"
    ),
    Mutant(_PROBES, "idle probes asked", "if probe not in idle", ""),
    Mutant(_PIECES, "every process does all", "[process_index() :: n_processes()]", ""),
    Mutant(_PIECES, "answers in the order of pieces", '.select(np.argsort(np.concatenate(order), kind="stable"))', ""),
    Mutant(_PIECES, "what is there is asked again", "if self._read(path, sets.select(rows)) is None", ""),
    Mutant(
        _PIECES,
        "damaged pieces kept",
        "            return None\n\n    def _pieces",
        "            raise\n\n    def _pieces",
    ),
    Mutant(_WHOLE, "pieces of another way of asking", '"eval": params.eval.model_dump(mode="json"), ', ""),
    Mutant(_WHOLE, "pieces of another adapter", ', "made_from": artifacts.lineage', ""),
    Mutant(_WHOLE, "probes of nothing", "build_respondent(probed(probe, tuned, seed)).answer", "respondent.answer"),
    Mutant(_ARTIFACTS, "untuned asked as the tuned", 'model_copy(update={"method": "scoring"})', "model_copy()"),
    Mutant(
        _ARTIFACTS,
        "untuned with layers missing",
        "choose_device(), None, may",
        "choose_device(), tuned.manifest.layers, may",
    ),
    Mutant(_REMARKS, "worse at any difference", 'gain["high"] < 0', 'gain["difference"] < 0'),
    Mutant(
        _REMARKS, "chance by the mean", 'llara["hit_ratio_at_1_low"] <= chance', 'llara["hit_ratio_at_1"] <= chance'
    ),
    Mutant(_REMARKS, "drops by the mean", 'drop["low"] <= 0', 'drop["difference"] <= 0'),
    Mutant(_REPORT, "another cut in the catalogue", "gains(ranks, 10)", "gains(ranks, 5)"),
    Mutant(
        _REPORT,
        "errors as hits",
        "expected_calibration_error(confidence, correct)",
        "expected_calibration_error(confidence, ~correct)",
    ),
    Mutant(_REPORT, "targets of neighbours", "sets.targets[first]", "sets.targets[: len(first)]"),
    Mutant(_READER, "seen items never ranked", "exclude_seen=tuned.params.exclude_seen", "exclude_seen=True"),
    Mutant(_PIECES, "rows of one model for another", 'f"{name}-{number}.parquet"', 'f"{number}.parquet"'),
    Mutant(_PER_LIST, "ties count for the target", "ranks == 1, right)", "right, right)"),
    Mutant(_PER_LIST, "invalid answers hit", " & (matches != NONE)", ""),
    Mutant(_PER_LIST, "cut one too early", "_ranks(predictions, asked) <= cut", "_ranks(predictions, asked) < cut"),
    Mutant(_REPORT, "examples counted once a draw", "ranks, users = ranks[first], ", "ranks, users = ranks, "),
    Mutant(_REPORT, "differences the other way", "values[ours], values[other]", "values[other], values[ours]"),
    Mutant(_REPORT, "slices of other lists", "correct[mask], users[mask]", "correct[~mask], users[~mask]"),
    Mutant(
        _SIGNIFICANCE,
        "one-sided",
        "min(1.0, 2 * ",
        "min(1.0, 1 * ",
    ),
    Mutant(_SIGNIFICANCE, "no correction", "(len(p_values) - place) *", "1 *"),
    Mutant(_SIGNIFICANCE, "seeds without a spread", "of_users + max(0.0, excess)", "of_users"),
    Mutant(_SIGNIFICANCE, "users of one list drawn as of many", "sizes[drawn].sum(axis=1)", "sizes.sum()"),
    Mutant(_COMPARISON, "each list a user", "Counts.of(totals / sizes)", "Counts.of(by_list)"),
    Mutant(_GREEDY, "an answer as long as its neighbours", "< limits[row]", "< max(limits)"),
    Mutant(
        _GENERATION, "cut answers count as whole", "encoder.decode(ids), has_stopped(ids)", "encoder.decode(ids), True"
    ),
    Mutant(_GENERATION, "answers of several lines", "written[-1] in encoder.stop_ids", "written[-1] == encoder.eos_id"),
    Mutant(_ASKING, "the shortest candidate limits", "max(map(len, row))", "min(map(len, row))"),
    Mutant(_ASKING, "cut answers read as whole ones", "is_whole=answer.is_whole", "is_whole=True"),
    Mutant(_ASKING, "a candidate of a neighbour", "candidates[i].tolist()", "candidates[chunk[0]].tolist()"),
    Mutant(_MATCHING, "one of several candidates", "if len(named) == 1", "if named"),
    Mutant(_MATCHING, "narrower titles inside wider ones", "if start + length > covered:", "if True:"),
    Mutant(_MATCHING, "the narrowest title first", "sorted(found, reverse=True)", "sorted(found)"),
    Mutant(_ASKING, "written titles of neighbours", "candidates[i, place]", "candidates[chunk[0], place]"),
    Mutant(
        _CONSTRAINED,
        "the last candidate",
        "self._places.setdefault(tuple(answer), place)",
        "self._places[tuple(answer)] = place",
    ),
    Mutant(
        _CONSTRAINED,
        "places among different titles alone",
        "return self._places[answer]",
        "return [*self._places].index(answer)",
    ),
    Mutant(_CONSTRAINED, "decided too early", "if len(left) > 1 else", "if len(left) > 2 else"),
    Mutant(_GREEDY, "no numbers accepted", "require_finite(scores.amax(dim=-1))  # of", "pass  # of"),
    Mutant(_GREEDY, "a token that nobody allowed", "require_finite(scores.amax(dim=-1))  # where", "pass  # where"),
    Mutant(
        _GREEDY, "prompts of those that have ended", "[prompts[row] for row in rows], max", "prompts[: len(rows)], max"
    ),
    Mutant(_GREEDY, "long prompts together on a CPU", '_CPU_TOKENS if model.device.type == "cpu" else None', "None"),
    Mutant(
        _ASKING,
        "candidates of four batches read at once",
        "encoder.filler_id, params.batch_size)",
        "encoder.filler_id, size)",
    ),
    Mutant(_ASKING, "four batches read at once", "encoder, limits, params.batch_size)", "encoder, limits, size)"),
    Mutant(_GREEDY, "any token at all", "if some is not None:", "if False:"),
    Mutant(
        _GREEDY, "rules of neighbours", "zip(scores, allowed, strict=True)", "zip(scores, allowed[::-1], strict=True)"
    ),
    Mutant(_GREEDY, "the next token one place late", "+ len(written[row]) - 1 for row", "+ len(written[row]) for row"),
    Mutant(_GREEDY, "the same token read again", "[written[row][-1] for", "[written[row][0] for"),
    Mutant(_GREEDY, "portions without their padding", "len(run) * max(run)", "sum(run)"),
    Mutant(_GREEDY, "batches over each other", "cache.put(start, read.cache)", "cache.put(0, read.cache)"),
    Mutant(_ROW_CACHE, "those who stay have others' texts", "order[hole] = row", "pass"),
    Mutant(_ROW_CACHE, "texts of the ended", "kept[holes] = kept[moved]", "pass"),
    Mutant(_ROW_CACHE, "padding seen", "columns <= own", "columns < self._end"),
    Mutant(_ASKING, "length normalisation ignored", "if params.length_normalized:", "if False:"),
    Mutant(_ASKING, "always normalised by length", "if params.length_normalized:", "if True:"),
    Mutant(_ASKING, "scores of a neighbour", "scores[chunk] = found", "scores[chunk[::-1]] = found"),
    Mutant(
        _ASKING,
        "asked in the prompts' order, answered by length",
        "batch = [prompts[i] for i in chunk]",
        "batch = [prompts[i] for i in sorted(chunk)]",
    ),
    Mutant(_SCORING, "likelihood upside down", "return -np.bincount", "return np.bincount"),
    Mutant(_SCORING, "answers see each other", "same & earlier", "earlier"),
    Mutant(_SCORING, "answers see their future", "same & earlier", "same"),
    Mutant(
        _SCORING,
        "answers see padding",
        "prompts[:, None, :].expand",
        "torch.ones_like(prompts)[:, None, :].expand",
    ),
    Mutant(_SCORING, "answers one position late", "own = lengths + offsets", "own = lengths + offsets + 1"),
    Mutant(_SCORING, "positions count padding", "own = lengths + offsets", "own = lengths.max() + offsets"),
    Mutant(_SCORING, "the last token not scored", "targets += answer", "targets += [*answer[:-1], -100]"),
    Mutant(
        _READ_PROMPTS,
        "the last token but one begins the answer",
        "[len(prompt.input_ids) for",
        "[len(prompt.input_ids) - 1 for",
    ),
    Mutant(_GREEDY, "the least likely", "scores.argmax(dim=-1)", "scores.argmin(dim=-1)"),
    Mutant(_MATCHING, "case counts", "text.casefold()", "text"),
    Mutant(_METRICS, "an invalid answer is a hit", "correct & valid", "correct"),
    Mutant(_METRICS, "draws counted as users", "len(np.unique(users))", "len(users)"),
    Mutant(_RECOMMENDERS, "another cut-off", "gains(rank, 10)", "gains(rank, 1)"),
    Mutant(_RECOMMENDERS, "hits at 2", "rank == 1", "rank <= 2"),
    Mutant(
        _RECOMMENDERS,
        "history of another example",
        "shown, example, sets.candidates",
        "shown[::-1], example, sets.candidates",
    ),
    Mutant(_RECOMMENDERS, "history cut short", "sets, history_length)\n    return", "sets, 1)\n    return"),
    Mutant(_STATISTICS, "90 % intervals", "_UPPER = 0.975", "_UPPER = 0.95"),
    Mutant(_STATISTICS, "Wilson's centre", "share + z**2 / (2 * size)", "share + z**2 / size"),
    Mutant(_STATISTICS, "Wilson's width", "z**2 / (4 * size**2)", "z**2 / size**2"),
    Mutant(_STATISTICS, "jackknife without its factor", "(len(sizes) - 1) / len(sizes) * float", "float"),
    Mutant(_STATISTICS, "variance for equal clusters only", "(sizes.sum() - sizes)", "(sizes.sum() - sizes.mean())"),
    Mutant(_STATISTICS, "draws counted as independent", "(share * (1 - share) / variance, n_hits)", "(n_hits, n_hits)"),
    Mutant(_STATISTICS, "users counted, draws ignored", "(share * (1 - share) / variance, n_hits)", "(kish, n_hits)"),
    Mutant(_STATISTICS, "the normal quantile of clusters", "stats.t.ppf(_UPPER, len(sizes) - 1)))", "1.96))"),
    Mutant(_STATISTICS, "one degree of freedom too many", "len(sizes) - 1) * dev", "len(sizes)) * dev"),
]

_VARIANTS = [
    Mutant(
        _PROJECTOR,
        "middle layers left out",
        "return [self.first, *self.middle]",
        "return [self.first]",
    ),
    Mutant(_PROJECTOR, "slots see later ones", "is_causal=True", "is_causal=False"),
    Mutant(_PROJECTOR, "all slots in one row", "return self(padded)[is_slot]", "return self(embeddings)"),
    Mutant(_PROJECTOR, "blocks that start at random", "nn.init.zeros_(layer.weight)", "pass"),
    Mutant(_PROJECTOR, "a gate that starts half open", "2 * self.gate(embeddings)", "self.gate(embeddings)"),
    Mutant(_PROJECTOR, "no gate", 'if fusion.kind == "gate"', "if False"),
    Mutant(
        _PROJECTOR,
        "a gate of the token",
        "self.gate(embeddings).sigmoid() * tokens",
        "self.gate(embeddings * 2).sigmoid() * tokens",
    ),
    Mutant(_PROJECTOR, "depth ignored", "projector.hidden, llm_dim, projector.depth)", "projector.hidden, llm_dim)"),
    Mutant(_PROJECTOR, "no residual path", "states = states + self.attended", "states = self.attended"),
    Mutant(_PROJECTOR, "no residual path of a block's perceptron", "return states + self.down(", "return self.down("),
    Mutant(_PROJECTOR, "keys for queries", "query, key, value = mixed", "key, query, value = mixed"),
    Mutant(
        _PROJECTOR, "one norm for both branches", "self.up(self.norm_before_mlp(", "self.up(self.norm_before_attention("
    ),
    Mutant(_PROJECTOR, "as many heads as features of one", "(3, self.heads, -1)", "(3, -1, self.heads)"),
    Mutant(_PROJECTOR, "attention without scaling", "is_causal=True)", "is_causal=True, scale=1.0)"),
    Mutant(
        _PROJECTOR,
        "GELU by its approximation",
        "gelu(self.up(self.norm_before_mlp(states)))",
        "gelu(self.up(self.norm_before_mlp(states)), approximate='tanh')",
    ),
    Mutant(
        _PROJECTOR,
        "slots padded in front",
        "torch.arange(int(counts.max()), device=counts.device) < counts",
        "torch.arange(int(counts.max()), device=counts.device) >= counts.max() - counts",
    ),
    Mutant(
        _PROJECTOR,
        "half of a gated token's gradient",
        "self.gate(embeddings).sigmoid() * tokens",
        "self.gate(embeddings).sigmoid() * (tokens + tokens.detach()) / 2",
    ),
    Mutant(_SPLICE, "added twice", "token_embeddings + splice", "token_embeddings + 2 * splice"),
    Mutant(_LORA, "A scaled twice", "grad_inner.T @ rows", "ctx.scale * grad_inner.T @ rows"),
    Mutant(_MODEL, "gate replaces", '("add", "gate")', '("add",)'),
    Mutant(_RATES, "the head learns while the projector does", "in (lora, *others)", "in (lora,)"),
    Mutant(_READER, "asked as if appended", "writer.titles, tuned.writer.fusion", 'writer.titles, "append"'),
    Mutant(_STREAMS, "trained as if appended", "writer.titles, sources.writer.fusion", 'writer.titles, "append"'),
    Mutant(_PROBES, "other vectors as if appended", "hybrid.projector, hybrid.fusion", 'hybrid.projector, "append"'),
    Mutant(_MODEL, "everything is added", 'self.fusion in ("add", "gate")', "True"),
    Mutant(
        _ADAPTER,
        "rebuilt without its gate",
        "manifest.projector, manifest.fusion)",
        'manifest.projector, Fusion(kind="append"))',
    ),
    Mutant(_SPLICE, "words forgotten where vectors are added", "return token_embeddings + splice", "return splice"),
    Mutant(
        _SEGMENTS,
        "titles in id mode",
        "return [Text(before), ItemSlot(item_id)]",
        "return [Text(before + title), ItemSlot(item_id)]",
    ),
    Mutant(
        _SEGMENTS,
        "the separator a slot too",
        "FusedTitle(before + title, len(before), item_id)",
        "FusedTitle(before + title, 0, item_id)",
    ),
    Mutant(_SEGMENTS, "slots in text mode", 'if mode == "text":', "if False:"),
    Mutant(_SEGMENTS, "no mark behind fused titles", "len(before), item_id), *behind]", "len(before), item_id)]"),
    Mutant(_SEGMENTS, "the words before a title counted twice", "len(before.text) + segment.start", "segment.start"),
    Mutant(_CHAT, "no turn for the answer", "add_generation_prompt=True", "add_generation_prompt=False"),
    Mutant(
        _CHAT, "frame turned round", "ChatFrame(before=before, after=after)", "ChatFrame(before=after, after=before)"
    ),
    Mutant(_CHAT, "a plain message asked about", '"content": STRANGE_MESSAGE}', '"content": "X"}'),
    Mutant(_ENCODING, "nothing behind a message", "ids += around.after", "ids += []"),
    Mutant(_ENCODING, "the frame's space lost", "merge_texts([Text(around.lead), *segments]) if", "segments if"),
    Mutant(_ENCODING, "a message that opens the text", "for opens in (False, True):", "for opens in (True,):"),
    Mutant(_ENCODING, "a message that never opens a text", "for opens in (False, True):", "for opens in (False,):"),
    Mutant(_ENCODING, "other ids than the conversation's", "if whole == [*before,", "if opens or whole == [*before,"),
    Mutant(_ENCODING, "the tokenizer's own space a slot", "not (is_own_space and not place)", "True"),
    Mutant(_PREFIXES, "<think> as a token in titles", 'token["special"] |= ', 'token["special"] |= False and '),
    Mutant(_PREFIXES, "runs of spaces as words", '_CONTROL_MARK.fullmatch(token["content"]) is not None', "True"),
    Mutant(_ENCODING, "two spaces before an answer", "if has_space else", "if False else"),
    Mutant(
        _ENCODING, "answers of a raw prompt without their space", "self.frame is not None and", "self.frame is None or"
    ),
    Mutant(_ARTIFACTS, "asked without the chat", "max_length, manifest.chat)", "max_length)"),
    Mutant(_TUNING, "chat ignored", 'if params.prompt.form == "chat"', "if False"),
    Mutant(_ENCODING, "the token before a title a slot too", "(end > start and", "(end >= start and"),
    Mutant(_ENCODING, "the filler as a line's end", "ids.append(self._line_end())", "ids.append(self.filler_id)"),
    Mutant(_ENCODING, "one slot for a title of many tokens", "[segment.item_id] * sum(is_title)", "[segment.item_id]"),
]

_READING = [
    Mutant(_HISTORIES, "the first item throughout", 'show_any("", item', 'show_any("", items[0]'),
    Mutant(_SEGMENTS, "a slot of another item", "titles[item], int(item), mode", "titles[item], 1, mode"),
    Mutant(_HEAD, "a score for padding", "scores[..., 0] = -torch.inf", "pass"),
    Mutant(_HEAD, "features left at their size", "(features - centre) / scale", "features - centre"),
    Mutant(_HEAD, "no intercept", "self.bias.copy_(middle - centre @ weights)", "self.bias.zero_()"),
    Mutant(_HEAD, "half the penalty", "penalty * torch.eye", "0.5 * penalty * torch.eye"),
    Mutant(
        _CHUNKS,
        "the item itself as its target",
        "following = shown.places + 1",
        "following = shown.places",
    ),
    Mutant(_CHUNKS, "targets without enough history", "following >= shown.chunk.first_target", "following >= 0"),
    Mutant(_CHUNKS, "held-out items read", "starts + sequences.train_end[rows]", "starts + sequences.lengths[rows]"),
    Mutant(_CHUNKS, "the last item read", "self._spans.ends[users] - 1\n", "self._spans.ends[users]\n"),
    Mutant(_CHUNKS, "the same places in every pass", "_PLACE, passes, chosen", "_PLACE, 0 * passes, chosen"),
    Mutant(_CHUNKS, "the recommender's window ignored", "anchors + self._max_items", "anchors + 10 * self._max_items"),
    Mutant(_STREAM, "readouts one token early", "readouts[..., None]", "(readouts - 1).clamp(min=0)[..., None]"),
    Mutant(
        _STREAM,
        "dropped features not scaled",
        "noise[asked] * (states - centre)",
        "(noise[asked] > 0) * (states - centre)",
    ),
    Mutant(_STREAMS, "dropout the same in every step", "_STATES, examples[0].step", "_STATES, 0"),
    Mutant(_CHUNKS, "items dropped the same in every step", "_DROPOUT, step", "_DROPOUT, 0"),
    Mutant(
        _CHUNKS, "items dropped by place in the chunk", "step, chunk.places)", "step, np.arange(len(chunk.places)))"
    ),
    Mutant(
        _STREAMS,
        "items dropped in validation",
        "ShownChunk(chunk, chunk.places)",
        "ShownChunk(chunk, chunk.places[int(self.recipe.item_dropout > 0 and len(chunk.places) > 1) :])",
    ),
    Mutant(_CHUNKS, "item dropout ignored", "random_shares(words) >= self._dropout", "random_shares(words) >= 0"),
    Mutant(_STREAM, "distillation ignored", "if self.distillation:", "if False:"),
    Mutant(_STREAM, "distillation turned round", "(vectors[targets] - expected)", "(expected - vectors[targets])"),
    Mutant(
        _STREAM,
        "a teacher of another place",
        "_expected_vectors(history, vectors, negatives)[asked]",
        "_expected_vectors(history.flip(1), vectors, negatives)[asked]",
    ),
    Mutant(_STREAM, "padding taught", "among = vectors[1:] if", "among = vectors if"),
    Mutant(_STREAM, "negatives without their number", "-math.log(len(vectors) - 1)", "0.0"),
    Mutant(
        _STREAMS, "the projector's rate for the head", "(head, self.recipe.head_lr)", "(head, self.recipe.projector_lr)"
    ),
    Mutant(_STREAMS, "negatives by micro-batch", "examples[0].step, np.arange", "examples[0].items[0], np.arange"),
    Mutant(_STREAMS, "validated as text", "task.chunks, self.plan.last_mode", 'task.chunks, "text"'),
    Mutant(_STREAMS, "the head's start from one mode", "modes = self.plan.modes", "modes = [self.plan.last_mode]"),
    Mutant(_STREAMS, "the head's start from the same chunks in all modes", "chunks[k :: len", "chunks[0 :: len"),
    Mutant(
        _STREAMS,
        "validated with half the tokens",
        "            recipe.chunk_tokens,\n",
        "            recipe.chunk_tokens // 2,\n",
    ),
    Mutant(_STREAMS, "room for half a history", "chunk_tokens < needed", "chunk_tokens < needed / 2"),
    Mutant(_STREAMS, "room by the shortest title", ".lengths[self._item_ids].mean()", ".lengths[self._item_ids].min()"),
    Mutant(
        _STREAM,
        "a teacher of the whole catalogue",
        "vectors[1:] if negatives is None else vectors[negatives]",
        "vectors[1:]",
    ),
    Mutant(_STREAMS, "dropout while it validates", "with evaluating(self.model):", "if True:"),
    Mutant(
        _STREAMS,
        "states of another history",
        'goals = [sources.recommender(batch["history"])',
        'goals = [sources.recommender(batch["history"].flip(1))',
    ),
    Mutant(_POSITIONS, "ties as hits", "is_lower = scores < own", "is_lower = scores <= own"),
    Mutant(
        _POSITIONS,
        "drawn with replacement",
        "n_lower[:, None] - drawn, 0) / (n_possible[:, None] - drawn)",
        "n_lower[:, None], 0) / n_possible[:, None]",
    ),
    Mutant(_POSITIONS, "excluded items as negatives", "possible[row, items] = False", "pass"),
    Mutant(
        _POSITIONS,
        "another user's negatives",
        "asked = Examples(rows, places - sequences.offsets[rows])",
        "asked = Examples(rows[::-1].copy(), places - sequences.offsets[rows])",
    ),
    Mutant(_POSITIONS, "positions of training users", 'sequences.segment("validation")', 'sequences.segment("train")'),
    Mutant(_POSITIONS, "short histories asked", "begin + history_length), end - 1)", "begin + 1), end - 1)"),
    Mutant(
        _ARTIFACTS, "all layers under an adapter of the lower", "manifest.layers, may_stand_in", "None, may_stand_in"
    ),
    Mutant(_WHOLE, "one item for the recommender", "tables.sequences, sets, length)", "tables.sequences, sets, 1)"),
    Mutant(
        _TUNING,
        "all layers tuned",
        "params.selected_llm, device, layers, works_on",
        "params.selected_llm, device, works_on",
    ),
    Mutant(
        _TUNING,
        "the head isn't watched",
        "    watch = Watch(\n        objective.model,",
        "    watch = Watch(\n        base.hybrid(),",
    ),
    Mutant(
        _TUNING,
        "a teacher with dropout",
        "recommender.to(choose_device()).eval()",
        "recommender.to(choose_device()).train()",
    ),
    Mutant(_TUNING, "the manifest without layers", "layers=layers_read(objective.recipe)", "layers=None"),
    Mutant(_TUNING, "modes of steps that weren't kept", "modes_until(last_step)", "modes"),
    Mutant(_TUNING, "modes of the first step alone", "modes_until(last_step)", "modes_until(1)"),
    Mutant(_TUNING, "weights chosen before their mode was trained", "_first_step(objective)),", "1),"),
    Mutant(
        _STREAMS,
        "the embedding of an untied recommender",
        "sources.recommender.output_weights.detach().clone()",
        "sources.recommender.items.weight.detach().clone()",
    ),
    Mutant(
        _STREAMS, "distillation not passed on", "sources.recommender, recipe.distillation", "sources.recommender, 0.0"
    ),
    Mutant(
        _STREAMS,
        "min_history of one",
        "training_spans(sequences, params.split.min_history)",
        "training_spans(sequences, 1)",
    ),
    Mutant(_STREAMS, "all positions validated", "n_positions=recipe.validation.positions", "n_positions=10**9"),
    Mutant(_STREAMS, "validated in float32", "with autocast(self._precision)", 'with autocast("float32")'),
    Mutant(_STREAMS, "weights that are no numbers", "require_finite(scores[:, 1:])", "pass"),
    Mutant(
        _READER,
        "scored by the embedding of an untied recommender",
        "tuned.recommender.output_weights.detach()",
        "tuned.recommender.items.weight.detach()",
    ),
    Mutant(_READER, "the first readout", "len(history.readouts) - 1 for", "0 for"),
    Mutant(_READER, "scores of a neighbour", "found[i] = scores", "found[part[0]] = found[i] = scores"),
    Mutant(_ASKED, "the lowest score", "kept.argmax(axis=1)", "kept.argmin(axis=1)"),
]

_POINTING = [
    Mutant(_LORA, "no scaling forwards", "alpha=scale)", "alpha=1.0)"),
    Mutant(_LORA, "no scaling backwards", "up.T.contiguous()).mul_(ctx.scale)", "up.T.contiguous())"),
    Mutant(_LORA, "B without scaling", "(inner.T @ outer).mul_(ctx.scale).T", "(inner.T @ outer).T"),
    Mutant(_LORA, "no gradient through LoRA", "(outer @ weight).addmm_(grad_inner, down)", "(outer @ weight)"),
    Mutant(_LORA, "dropout left out", "isinstance(self.lora_dropout[adapter], torch.nn.Identity)", "True"),
    Mutant(_POINTS, "pointing at the history", "first = 0 if", "first = 0 if True or"),
    Mutant(
        _POINTS,
        "pointing a token early",
        "places = marks[first : first + len(question.candidates)]",
        "places = [mark - 1 for mark in marks[first : first + len(question.candidates)]]",
    ),
    Mutant(
        _POINTS,
        "the end of the padded prompt",
        "len(example.prompt.input_ids) - 1 for",
        "max(len(other.prompt.input_ids) for other in prompts) - 1 for",
    ),
    Mutant(
        _POINTER,
        "no teacher",
        "+ self.distillation * cross_entropy(scores, taught",
        "+ 0.0 * cross_entropy(scores, taught",
    ),
    Mutant(_POINTER, "the teacher's share twice", "(1 - self.distillation) * cross", "cross"),
    Mutant(_POINTER, "a mean loss", 'cross_entropy(scores, labels, reduction="sum")', "cross_entropy(scores, labels)"),
    Mutant(
        _POINTER,
        "the teacher at the padding",
        "(history > 0).sum(dim=1) - 1",
        "(history > 0).sum(dim=1) * 0 + history.shape[1] - 1",
    ),
    Mutant(
        _POINTER,
        "input vectors of an untied teacher",
        "teacher.output_weights[candidates]",
        "teacher.items.weight[candidates]",
    ),
    Mutant(_CHOOSER, "validated in another mode", "prompt, self.plan.last_mode", 'prompt, "text"'),
    Mutant(
        _CHOOSER,
        "validated on training users",
        'all_positions(sequences, "validation"',
        'all_positions(sequences, "train"',
    ),
    Mutant(_CHOOSER, "negatives of another split", 'asked, "validation", rule', 'asked, "train", rule'),
    Mutant(_CHOOSER, "maps from one mode", "modes = self.plan.modes", "modes = [self.plan.last_mode]"),
    Mutant(_CHOOSER, "penalty ignored", "self.recipe.ridge.penalty", "1e-3"),
    Mutant(_CHOOSER, "the maps at LoRA's rate", "self.recipe.head_lr", "self.recipe.lr"),
    Mutant(_CHOOSER, "ties count for the target", "(scores >= own).sum(dim=1) == 1", "(scores > own).sum(dim=1) == 0"),
    Mutant(_CHOOSING, "another template", "shown[example], tuned.params.template", "shown[example], 0"),
    Mutant(_CHOOSING, "histories of neighbours", "shown[example]", "shown[example[::-1]]"),
    Mutant(
        _CHOOSING, "scores in the order of length", "scores[part] = found", "scores[start : start + len(part)] = found"
    ),
    Mutant(_CHOOSING, "always as text", "tuned.mode,", '"text",'),
    Mutant(_CHOOSING, "no numbers accepted", "            require_finite(found)\n", ""),
    Mutant(_CHOOSER, "read in full precision", "autocast(self._precision)", 'autocast("float32")'),
    Mutant(_CHOOSER, "validated after any history", '"validation", split.min_history)', '"validation", 1)'),
]

_RUNNING = [
    Mutant(_CHECKPOINTS, "only checkpoints discarded", 'folder.glob("[!.]*")', 'folder.glob("step-*")'),
    Mutant(_CHECKPOINTS, "fresh as any other", "if fresh:", "if not fresh:"),
    Mutant(
        _CHECKPOINTS,
        "none while the next one comes",
        "        temporary.rename(final)\n",
        "        _discard(folder)\n        temporary.rename(final)\n",
    ),
    Mutant(_COMPUTE, "half an hour's patience", "meet_others(_PATIENCE)", "meet_others()"),
    Mutant(_FINGERPRINT, "answers by processes", "n_processes() if by_processes else None", "n_processes()"),
    Mutant(_PROGRAM, "each process tells its failure", "if not is_first_to_fail():", "if False:"),
    Mutant(_FAILING, "nobody is the first", ", 1) == 1", ", 1) == 0"),
    Mutant(_FAILING, "everybody is the first", ", 1) == 1", ", 1) >= 1"),
    Mutant(_WANTED, "accelerate divides too", 'os.environ.pop(wish, "")', 'os.environ.get(wish, "")'),
    Mutant(_WANTED, "one process divides", "if n_processes() > 1 else None", "if n_processes() else None"),
    Mutant(_WANTED, "DeepSpeed not asked for", "is None:\n            raise", "is ...:\n            raise"),
    Mutant(_WANTED, "only one word for yes", '("y", "yes", "t", "true", "on", "1")', '("true",)'),
    Mutant(_WANTED, "any settings", "!= done:", "is None:"),
    Mutant(_DIVISION, "layers are whole together", "for part in [*parts, backbone]:", "for part in [backbone]:"),
    Mutant(_DIVISION, "layers stay whole", "reshard_after_forward=True", "reshard_after_forward=False"),
    Mutant(_DIVISION, "the embeddings divided", " | set(embeddings.parameters())", ""),
    Mutant(_AGREEING, "each begins with its own weights", "distributed.broadcast(tensor.data, src=0)", "pass"),
    Mutant(_AGREEING, "gradients added up", "(total / distributed.get_world_size())", "total"),
    Mutant(_AGREEING, "a gradient for what nobody used", "        if count:", "        if True:"),
    Mutant(_AGREEING, "each keeps its own gradient", "distributed.all_reduce(joined)", "pass"),
    Mutant(_PROGRAM, "output written too late to tell", "            sys.stdout.flush()", "            pass"),
    Mutant(_PROGRAM, "output that stays in the way", "os.dup2(nowhere, sys.stdout.fileno())", "pass"),
    Mutant(_PROGRAM, "leave only after a failure", "if not ended.code:", "if ended.code:"),
    Mutant(_PROGRAM, "only what the terminal can", "    _speak_any_encoding()\n    try", "    try"),
    Mutant(_WHOLE, "no wait before collecting", "    wait_for_all()\n    if not", "    if not"),
    Mutant(_PREDICTIONS, "none with an item", "is_none, matched != NO_ITEM, ", "is_none, False, "),
    Mutant(_PREDICTIONS, "targets anywhere in top", "(first & (top ==", "((top =="),
    Mutant(_PREDICTIONS, "ranks beyond top", "ranks <= top.shape[1]", "ranks < top.shape[1]"),
    Mutant(_COMPARED, "intervals without a width", "varies = high - low > EQUAL", "varies = True"),
    Mutant(_HISTORIES, "no beginning of text", "whole - length for", "0 * whole for"),
    Mutant(_HISTORIES, "the least before a history", "return int(max(", "return int(min("),
    Mutant(_STREAMS, "chunks as long as the context", "context - self._encoder.most_before", "context"),
]


_PLOTTING = [
    Mutant(_BARS, "half a bar's interval", '"field": "<DVC_METRIC_X>_low"', '"field": "<DVC_METRIC_X>"'),
    Mutant(_BARS, "bars on one another", '"yOffset": {"field": "rev", "sort": null}', '"text": {"value": ""}'),
    Mutant(
        _RELIABILITY,
        "confidence for accuracy",
        '"field": "<DVC_METRIC_Y>", "type"',
        '"field": "<DVC_METRIC_X>", "type"',
    ),
    Mutant(_RELIABILITY, "no interval", '"field": "<DVC_METRIC_Y>_low"', '"field": "<DVC_METRIC_Y>_high"'),
    Mutant(_PANELS, "one line for all revisions", '"groupby": ["model", "rev"]', '"groupby": ["model"]'),
    Mutant(_REPORT, "the ceiling of both", '"either": ours | theirs', '"either": ours & theirs'),
    Mutant(
        _REPORT,
        "overlap's intervals of other lists",
        "named_mean(name, values, users)",
        "named_mean(name, ours, users)",
    ),
    Mutant(_PLOTS, "the worst model first", "(-named[1][_RATIO], named[0])", "(named[1][_RATIO], named[0])"),
    Mutant(_PLOTS, "equal models in any order", "(-named[1][_RATIO], named[0])", "-named[1][_RATIO]"),
    Mutant(_PLOTS, "no upper end", '("", "_low", "_high")', '("", "_low", "_low")'),
    Mutant(_PLOTS, "users for lists", 'row["n_lists" if "n_lists" in row else "n_examples"]', 'row["n_users"]'),
    Mutant(_PLOTS, "sizes of all models", 'if row["model"] == rows[0]["model"]', "if row"),
    Mutant(_PLOTS, "another share's overlap", '_share("share", overlap, name)', '_share("share", overlap, "either")'),
    Mutant(_PLOT, "the caption alone", '[*title["subtitle"], *caption]', "[*caption]"),
    Mutant(_PLOT, "axes exchanged", "x=self.x,", "x=self.y,"),
    Mutant(_PLOT, "rows without a revision", '{**row, "rev": "workspace"}', "{**row}"),
    Mutant(_VEGA, "small", "scale=2", "scale=1"),
    Mutant(_VEGA, "a legend of one revision", '"disable": True', '"disable": False'),
    Mutant(_VEGA, "Vega's names in the page's scope", "(() => {{", "{{{{"),
    Mutant(_BARS, "bars of the lower end", '"field": "<DVC_METRIC_X>",', '"field": "<DVC_METRIC_X>_low",'),
    Mutant(_BARS, "bars in the order of names", '"sort": null,\n      "title"', '"title"'),
    Mutant(_PANELS, "panels in the order of names", '"sort": {"field": "row", "op": "min"}, ', ""),
    Mutant(_PANELS, "a mean of parts", '"toNumber(datum.n_lists)"', '"1"'),
    Mutant(_PANELS, "one line for all models", '"groupby": ["model", "rev"]', '"groupby": ["rev"]'),
    Mutant(_PANELS, "half an interval", '"<DVC_METRIC_Y>_high"', '"<DVC_METRIC_Y>"'),
    Mutant(_PANELS, "revisions on one another", '"xOffset": {"field": "rev", "sort": null},', ""),
    Mutant(_RELIABILITY, "a flat diagonal", '"y2": {"field": "end"}', '"y2": {"field": "start"}'),
    Mutant(_LINES, "nothing measured counts as 0", "isValid(datum.value)", "true"),
]

_DRAWING = [
    Mutant(_NEGATIVES, "all items alike", "if weights is None else By", "if True else By"),
    Mutant(_PROPOSALS, "words that proposed shuffle too", "max(n_items, n_proposals)", "n_items"),
    Mutant(_NEGATIVES, "an item twice in a list", " & _first_in_row(proposals)", ""),
    Mutant(_NEGATIVES, "the target as a negative", "(proposals != lists.targets[:, None]) & ", ""),
    Mutant(_NEGATIVES, "the target in what is left", "one.excluded[0], one.targets, taken", "one.excluded[0], taken"),
    Mutant(_NEGATIVES, "what was taken in what is left", "one.targets, taken]", "one.targets]"),
    Mutant(
        _NEGATIVES,
        "weights of held-out interactions",
        "sequences.count_training(n_items) +",
        "np.bincount(sequences.item_ids, minlength=n_items + 1)[1:] +",
    ),
    Mutant(_NEGATIVES, "another smoothing", "(n_items) + smoothing", "(n_items) + 1"),
    Mutant(_NEGATIVES, "weights whatever the rule", 'if rule == "popularity" else None', "if rule else None"),
    Mutant(_NEGATIVES, "the order of a pool counts", "FROM_POOL, items)", "FROM_POOL, np.arange(items.shape[1]))"),
    Mutant(_NEGATIVES, "padding drawn from a pool", "np.iinfo(np.uint64).max", "0"),
    Mutant(_NEGATIVES, "pools of neighbours", "items = pools[example[part]]", "items = pools[example[part][::-1]]"),
    Mutant(_PROPOSALS, "unpopular ones first of what is left", "left))) / self", "left))) * self"),
    Mutant(_PROPOSALS, "weights of neighbours", "self._weights[left - 1]", "self._weights[left - 2]"),
    Mutant(_PROPOSALS, "the last item never", "* self._cumulative[-1]", "* self._cumulative[-2]"),
    Mutant(
        _POOLS, "the target in its pool", "scores.scatter_(1, targets, -torch.inf)", "scores.scatter_(1, targets, own)"
    ),
    Mutant(_POOLS, "the history in the pool", "astype(np.int64))] = -torch.inf", "astype(np.int64))] += 0"),
    Mutant(_POOLS, "ties that topk took", "(scores >= least) &", "(scores > least) &"),
    Mutant(_POOLS, "ties by the larger id", "-scores[found], kind", "-scores[found] - found * 1e-9, kind"),
    Mutant(_POOLS, "the last bits of float64 decide", "[chunk]).float()", "[chunk]).double()"),
    Mutant(_POOLS, "ties behind the target", "(scores >= own)", "(scores > own)"),
    Mutant(
        _POOLS,
        "scores that are no numbers",
        "if not (finite := scores.isfinite()).all():",
        "if (finite := scores) is None:",
    ),
    Mutant(_HARD, "pools of other positions", "pools.items, example, count", "pools.items, example[::-1], count"),
    Mutant(_HARD, "a history of one item", "asked), history_length)", "asked), 1)"),
    Mutant(_HARD, "both collections alike", 'stored.scopes == "all"', "stored.draws * 0"),
    Mutant(_HARD, "all draws alike", "stored.positions, stored.draws)", "stored.positions, stored.draws * 0)"),
    Mutant(_HARD, "no seed", "draw_from_pools(seed,", "draw_from_pools(0,"),
    Mutant(_HARD, "history of the rule outside_recent", 'split, "hard", history_length', 'split, "outside_recent", 1'),
    Mutant(_HARD, "history of another split", "examples, split,", 'examples, "train",'),
    Mutant(_HARD, "the next one in the pool too", "pools.n_before < pool", "pools.n_before <= pool"),
    Mutant(_LISTS, "lists of another recommender", "{**expected, _RECOMMENDER: recommender}", "expected"),
    Mutant(_LISTS, "lists of another draw", "require_lineage(path, {_LISTS: sets.digest}, expected)", "pass"),
    Mutant(
        _LISTS, "hard lists of another draw", "expected = {_LISTS: tables.sets.digest}", "expected = dict[str, str]()"
    ),
    Mutant(_STAGE, "pools in float32", "model.double()", "model"),
    Mutant(_STAGE, "another pool", "params.candidates.hard.pool, params", "params.candidates.size, params"),
    Mutant(_STAGE, "the experiment's seed", "params.candidates.seed", "params.seed"),
    Mutant(_STAGE, "hard whatever the rule", 'if rule == "hard":', "if rule:"),
    Mutant(_ARTIFACTS, "asked about preprocessing's lists", "replace(tables, sets=asked.sets)", "replace(tables)"),
    Mutant(_ARTIFACTS, "lineage of preprocessing's lists", "asked.sets.digest", "tables.sets.digest"),
    Mutant(_REMARKS, "chance on hard lists", "None if asked.chosen_by else 1 /", "1 /"),
    Mutant(_PLAN, "wrong answers alike", "size, self._weights)", "size)"),
    Mutant(_PLAN, "another smoothing", "settings.negatives, settings.smoothing)", "settings.negatives, 1.0)"),
    Mutant(
        _CHOOSER, "wrong answers of validation alike", "params.candidates.size, weights)", "params.candidates.size)"
    ),
]

_SUITES = [
    Mutant(_RUNS, "another seed by name alone", 'changed | {"seed": seed}', "changed"),
    Mutant(_RUNS, "examples of one objective", "for entry in entries), ", "for entry in list(entries)[:1]), "),
    Mutant(_RUNS, "equal arms pass", "if earlier.stages == run.stages), None)", "if False), None)"),
    Mutant(_RUNS, "0 and 0.0 differ", "earlier.stages == run.stages", "earlier.signatures == run.signatures"),
    Mutant(_RUNS, "the arm's seed is the params' own", 'f"seed={seed}")', '"seed=0")'),
    Mutant(_PIPELINE, "options of what isn't selected", "fill(param) for param", "param.split('.')[0] for param"),
    Mutant(
        _PIPELINE,
        "inputs don't count",
        "path: found[writers[path]] for path in stage.reads",
        "path: path for path in stage.reads",
    ),
    Mutant(
        _PIPELINE,
        "code doesn't count",
        "path: code[path] for path in stage.code}",
        "path: path for path in stage.code}",
    ),
    Mutant(_RECORDS, "whatever it read", "if not all(path in written for path in stage.reads):", "if False:"),
    Mutant(_RECORDS, "any params", "record.params == stage.params and ", ""),
    Mutant(_RECORDS, "a folder without its files", 'if not digest.endswith(".dir"):', "if True:"),
    Mutant(_RECORDS, "the oldest run", "reverse=True", "reverse=False"),
    Mutant(_PLAN_OF_RUNS, "everybody computes", "computed |= set(missing.values())", "pass"),
    Mutant(
        _PLAN_OF_RUNS, "twice side by side", "if not being_computed.intersection(planned.missing.values()):", "if True:"
    ),
    Mutant(_RUNS, "a last step of fewer examples", "return n_steps * recipe.batch_size", "return n_steps * 16"),
    Mutant(_OVERALL, "slices of a pair's own", "slices_of(asked)", "slices_of(first.asked)"),
    Mutant(
        _OVERALL,
        "own intervals between lists",
        "mean_with_interval(averaged, users)",
        "mean_with_interval(averaged, np.arange(len(users)))",
    ),
    Mutant(
        _CHECKOUTS,
        "what isn't committed left out",
        'changed = git(*identity, "stash", "create", folder=self._root)',
        'changed = ""',
    ),
    Mutant(
        _EXPERIMENTS,
        "arms paired in order",
        "return replace(variant, seeds=tuple(entry.seed for entry in runs))",
        "return variant",
    ),
    Mutant(_EXPERIMENTS, "--metric ignored", "in runs], metric)", 'in runs], "hit_ratio_at_1")'),
    Mutant(
        _GRID,
        "one experiment of a name alone",
        "checkouts.commits_of(run.name) if",
        "checkouts.commits_of(run.name)[:1] if",
    ),
    Mutant(_GRID, "files that no run finds", "if not path.is_absolute() and", "if False and"),
    Mutant(_OUTCOME, "all pairs", "with_first_alone=True", "with_first_alone=False"),
    Mutant(
        _OVERALL,
        "seeds in order of running",
        "variant.seeds.index(seed) for seed in seeds",
        "place for place, _ in enumerate(seeds)",
    ),
    Mutant(
        _COMPARISON,
        "numbers of examples count",
        "np.unique(sets.example_ids, return_inverse=True)[1]",
        "sets.example_ids",
    ),
]

_PLANNING = [
    Mutant(_SHAPES, "heads count though tied", "return 0 if self.tied else self.embedding", "return self.embedding"),
    Mutant(_SHAPES, "one norm a head", "family.head_norms * 2 * self.head_dim", "family.head_norms * self.head_dim"),
    Mutant(_TRAINED, "LoRA of one side", "linears[name].inputs + linears[name].outputs", "linears[name].inputs"),
    Mutant(_TRAINED, "choice has one map", '"choice": 2', '"choice": 1'),
    Mutant(
        _KEPT,
        "norms' inputs in bfloat16",
        "family.norms * (4 * shape.hidden + 4)",
        "family.norms * (2 * shape.hidden + 4)",
    ),
    Mutant(_KEPT, "masks of nothing", "(kept.mask if kept.dropout else 0)", "kept.mask"),
    Mutant(_KEPT, "no copies of weights", "(2 * shape.layer_matrices if copied else 0)", "0"),
    Mutant(_KEPT, "the activation isn't kept", "kept.perceptron * 3 *", "kept.perceptron * 2 *"),
    Mutant(_MEMORY, "one moment", "optimizer=8 * trained", "optimizer=4 * trained"),
    Mutant(
        _MEMORY, "the start is forgotten", "max(sum(self.parts.values()), self.starting)", "sum(self.parts.values())"
    ),
    Mutant(_MEMORY, "holes of what is held", '(made if device == "cpu" else held)', "held"),
    Mutant(
        _WORKLOAD, "steps are rounded down", "math.ceil(params.curriculum.epochs", "math.floor(params.curriculum.epochs"
    ),
    Mutant(_COUNTING, "narrow micro-batches", "widest=int(widths.max())", "widest=int(widths.mean())"),
    Mutant(_COUNTING, "answers aren't read", "len(prompt.input_ids) + len(answer), len", "len(prompt.input_ids), len"),
    Mutant(
        _ADVICE,
        "what params.yaml refuses",
        "            continue\n        yield option",
        "            pass\n        yield option",
    ),
    Mutant(_ADVICE, "too much is taken", "if peak <= room:", "if peak <= room / 2:"),
    Mutant(_ADVICE, "a line that isn't there", "{'' if is_there else '+'}", "{''}"),
    Mutant(_FOUR_BITS, "scales of four bytes", "+ blocks + 4 * -(-blocks", "+ 4 * blocks + 4 * -(-blocks"),
    Mutant(_FOUR_BITS, "the rest in 4 bits too", "other * (shape.parameters -", "(shape.parameters -"),
    Mutant(_FOUR_BITS, "the smallest map", "largest = max(", "largest = min("),
    Mutant(_KEPT, "copies of 4 bits", "kept.weight == 4 and not kept.quantised", "kept.weight == 4"),
    Mutant(_MEMORY, "mapped, and not made", 'device != "cpu" or kept.quantised', 'device != "cpu"'),
    Mutant(
        _SETTLING,
        "each its own size",
        "smallest_of_all(found.selected_objective.rows)",
        "found.selected_objective.rows",
    ),
    Mutant(_SETTLING, "divided weights taken for whole", "n_processes() if is_divided() else 1", "1"),
    Mutant(_SETTLING, "fetched before it is refused", "    require_loadable(params.selected_llm)\n", ""),
    Mutant(_MEMORY, "nothing whole while it works", "2 * max(shape.layer, shape.vocabulary_head)", "0"),
    Mutant(_MICRO_BATCH, "no margin", "* MARGIN <= free", "<= free"),
    Mutant(_MICRO_BATCH, "the smallest that fits", "range(share, 0, -1)", "range(1, share + 1)"),
    Mutant(_MICRO_BATCH, "a size that leaves a rest", "if share % rows:", "if False:"),
    Mutant(_MICRO_BATCH, "a GPU for all", 'return 1 if machine.device == "cuda" else processes', "return processes"),
    Mutant(_MICRO_BATCH, "all have the whole batch", "share, free = batch // processes,", "share, free = batch,"),
    Mutant(
        _SETTLING,
        "another size after a kill",
        "if (checkpoint := agreed_checkpoint(checkpoints)) is not None:",
        "if False:",
    ),
    Mutant(_NF4, "repacked for good", "part.support_avx512bf16_for_cpu = False", "pass"),
    Mutant(_NF4, "levels of fp4", 'bnb_4bit_quant_type="nf4"', 'bnb_4bit_quant_type="fp4"'),
    Mutant(_NF4, "scales of 32 bits", "bnb_4bit_use_double_quant=True", "bnb_4bit_use_double_quant=False"),
    Mutant(_NF4, "still called quantised", "plain.is_loaded_in_4bit = False", "pass"),
    Mutant(_NF4, "the head in 4 bits too", "if part is head:", "if False:"),
    Mutant(_EXPORTED, "merged into 4 bits", "if manifest.llm.quantization is None:", "if True:"),
]

_ASKED_OUTSIDE = [
    Mutant(
        _BUDGET, "a request too many", "self.requests >= self._most_requests", "self.requests > self._most_requests"
    ),
    Mutant(_BUDGET, "what is on its way is forgotten", "self.tokens + self._reserved + tokens", "self.tokens + tokens"),
    Mutant(_BUDGET, "nobody waits", "if not self._on_their_way:", "if True:"),
    Mutant(_BUDGET, "reservations stay", "self._reserved -= reserved", "pass"),
    Mutant(_BUDGET, "the reservation is spent", "self.tokens += spent", "self.tokens += reserved"),
    Mutant(_PATIENCE, "equal pauses", "_FIRST_PAUSE * 2 **", "_FIRST_PAUSE * 1 **"),
    Mutant(_PATIENCE, "the endpoint's pause ignored", "pause = failure.wait or", "pause ="),
    Mutant(_PATIENCE, "an answer ends no row of failures", "self._in_a_row = 0\n", "pass\n"),
    Mutant(_PATIENCE, "each failure of many at once counts", "if sent_in == self._round:", "if True:"),
    Mutant(_PATIENCE, "one attempt too many", "if self._in_a_row >= ATTEMPTS:", "if self._in_a_row > ATTEMPTS:"),
    Mutant(_PATIENCE, "lost replies are free", "spent = most_tokens if failure.may_cost else 0", "spent = 0"),
    Mutant(_PATIENCE, "uncounted replies are free", "most_tokens if reply.tokens is None", "0 if reply.tokens is None"),
    Mutant(_PATIENCE, "what can't be mended is asked again", "if not failure.may_help:", "if False:"),
    Mutant(_PATIENCE, "its own pace ends a prompt", "failures += not failure.is_limit", "failures += 1"),
    Mutant(_STORE, "torn lines stay", "os.truncate(self.path, whole)", "pass"),
    Mutant(_STORE, "half a line on a full disk", "os.ftruncate(file.fileno(), size)", "pass"),
    Mutant(_STORE, "answers under the prompt of others", "key = self._settings.key_of(prompt)", 'key = "key"'),
    Mutant(_STORE, "files of others are taken", "if _parse(head) != expected:", "if False:"),
    Mutant(
        _STORE, "what others add meanwhile is asked again", "self._read() if self.path.is_file() else {}  #", "{}  #"
    ),
    Mutant(_ENDPOINT, "an empty account is asked again", "code not in _OUT_OF_MONEY", "True"),
    Mutant(_ENDPOINT, "redirections are followed", "follow_redirects=False", "follow_redirects=True"),
    Mutant(_ENDPOINT, "the client asks again unseen", "max_retries=0", "max_retries=2"),
    Mutant(_ENDPOINT, "short words are taken for the key", "if len(self._key) >= _SHORTEST_SECRET else text", ""),
    Mutant(_ENDPOINT, "milliseconds are seconds", '("retry-after-ms", 1e-3)', '("retry-after-ms", 1.0)'),
    Mutant(_WRITING, "others' temporaries removed", r"[a-z0-9_]{{8}}", ".*"),
    Mutant(_WRITING, "the old folder lost", "                old.rename(path)", "                pass"),
    Mutant(
        _COUNTING,
        "a damaged file of lists",
        "except (pa.ArrowException, OSError) as error:",
        "except KeyError as error:",
    ),
    Mutant(_DESTINATION, "links lost", "path.is_symlink() or not path.is_file()", "path.is_dir()"),
    Mutant(_FOLDER, "files of others lost", ".as_posix()) not in written", ".as_posix()) in ()"),
    Mutant(_FOLDER, "links of others lost", "path.is_symlink() or not path.is_dir()", "path.is_file()"),
    Mutant(_REPLY_BOUNDS, "drops are waited for", "if time.monotonic() > self._end:", "if False:"),
    Mutant(_REPLY_BOUNDS, "a body without end", "require_short(size, self._n_bytes)", "pass"),
    Mutant(_ENDPOINT, "a body without end once unpacked", "require_short(len(body), MOST_BYTES)", "pass"),
    Mutant(_ENDPOINT, "the key through a proxy", "trust_env=not is_plain", "trust_env=True"),
    Mutant(
        _ENDPOINT, "a part of the key", "one_line(self.hide(_message(error)))", "self.hide(one_line(_message(error)))"
    ),
    Mutant(
        _REPLIES, "a part of the key in a body", 'hide(body.decode(errors="replace"))', 'body.decode(errors="replace")'
    ),
    Mutant(
        _REPLIES, "the key in an answer", "answer=hide(first.message.content or", "answer=(first.message.content or"
    ),
    Mutant(_REPLIES, "cut answers are whole", "return self.finish not in CUT", "return True"),
    Mutant(_REPLIES, "OpenAI's word alone for a cut answer", '("length", "model_length")', '("length",)'),
    Mutant(
        _LISTS_ASKED,
        "a user's draws together",
        "np.lexsort((rank[example], stored.draws))",
        "np.lexsort((stored.draws, rank[example]))",
    ),
    Mutant(_LISTS_ASKED, "asked in the order of the table", "np.searchsorted(rows, order)", "np.arange(len(rows))"),
    Mutant(_LISTS_ASKED, "characters are bytes", 'len(message["content"].encode())', 'len(message["content"])'),
    Mutant(_LISTS_ASKED, "replies cost nothing", "_FRAME_TOKENS + settings.reply_tokens", "_FRAME_TOKENS"),
    Mutant(_SETTINGS, "the same key for all settings", "{self.digest}\\0{prompt}", "{prompt}"),
    Mutant(_SETTINGS, "the key goes unencrypted", 'if parts.scheme == "http" and not _is_near(host):', "if False:"),
    Mutant(_OUTSIDE, "rows of other lists", "theirs.select(found).digest != ours.digest", "False"),
    Mutant(
        _OUTSIDE, "rows in another order", "predictions.select(found) for", "predictions.select(np.sort(found)) for"
    ),
    Mutant(_OUTSIDE, "all answers are whole", "is_whole=reply.is_whole", "is_whole=True"),
    Mutant(_MATCHING, "all are named inside", "WHOLE if is_whole and self.is_title(answer) else INSIDE", "INSIDE"),
]

_REPORTED = [
    Mutant(
        _COMPARED,
        "each pair its own parts",
        "_slices(*couple, asked, seed, n_resamples)",
        "_slices(*couple, couple[0].asked, seed, n_resamples)",
    ),
    Mutant(_JOURNAL, "failures for ever", 'known.status == "failed"', "False"),
    Mutant(_JOURNAL, "seconds are forgotten", 'known.status == "failed"', "True"),
    Mutant(_JUDGED, "failed arms are not run", 'return "failed"', 'return "has no run yet"'),
    Mutant(
        _JUDGED,
        "seeds of other lists in one arm",
        "        require_same_lists(answers[0].asked, other.asked, (runs[0].name, run.name))",
        "        pass",
    ),
    Mutant(_JUDGED, "parts by an arm's own counts", "asked if asked and arm in paired else found.asked", "found.asked"),
    Mutant(_JUDGED, "recommender − arm", "report([variant, recommender]", "report([recommender, variant]"),
    Mutant(
        _ROWS,
        "plain p for Holm's",
        '"p_holm": pair.p_holm if pair else None',
        '"p_holm": difference.p if difference else None',
    ),
    Mutant(
        _ORIGIN,
        "failed runs are dropped",
        '        for run in suite.runs\n    ]\n    columns = [\n        Column("run"',
        '        for run in suite.runs\n        if run.status == "done"\n    ]\n    columns = [\n        Column("run"',
    ),
    Mutant(_ROWS, "a mean of what is known", "not values or None in values", "not values"),
    Mutant(
        _CELLS,
        "the CSV has the page's digits",
        "repr(value) if isinstance(value, float)",
        'format(value, ".4f") if isinstance(value, float)',
    ),
    Mutant(_CELLS, "a rounded 0 below 0", "if not any(digit", "if False and not any(digit"),
    Mutant(_CURVES, "seconds of one example a step", "batch = run.examples / len(speeds)", "batch = 1"),
    Mutant(_CURVES, "the first seed's share", "own = [run for run in runs if run.arm == arm]", "own = list(runs)"),
    Mutant(_CONCLUSION, "two seeds are a recipe", "_FEWEST_SEEDS = 3", "_FEWEST_SEEDS = 2"),
    Mutant(
        _CONCLUSION,
        "worse is better",
        'how = "better" if verdict == "first" else "worse"',
        'how = "worse" if verdict == "first" else "better"',
    ),
    Mutant(
        _CONCLUSION,
        "what failed isn't said",
        "for name, how in scope.left_out.items()]",
        "for name, how in list(scope.left_out.items())[:0]]",
    ),
    Mutant(_CROSSOVER, "means cross", "found.low is not None and found.low > 0", "found.mean > 0"),
    Mutant(_CROSSOVER, "one side is enough", "if above and below:", "if above or below:"),
    Mutant(
        _DIFFERING, "whatever differs is explained", "if not any(name == one or", "if not any(True or name == one or"
    ),
    Mutant(
        _DIFFERING,
        "a missing param isn't different",
        "{repr(params.get(name)) for params",
        "{repr(params[name]) for params",
    ),
    Mutant(
        _ANCHORS, "an interval of everything", "if anchor.hits is not None and anchor.lists is not None:", "if True:"
    ),
    Mutant(_PAGE, "names are markup", "autoescape=True", "autoescape=False"),
    Mutant(_FOLDER, "any folder is replaced", "    require_own_folder(folder)\n    files", "    files"),
    Mutant(
        _SECTION,
        "missing seeds aren't said",
        "if lost := [run for run in suite.runs if run.arm == arm and run.answers is None]:",
        "if lost := []:",
    ),
    Mutant(_OF_MODELS, "the best is the baseline", "_BASELINE if _BASELINE in names else names[0]", "names[0]"),
    Mutant(_LATEX, "an option of a line break", 'if cell.startswith("[")', "if False"),
    Mutant(
        _INLINE, "a title is markup", "*[figure.key] * 3, figure.title,", "*[figure.key] * 3, Markup(figure.title),"
    ),
    Mutant(_INLINE, "ids may meet", ' or " id=" in drawn', ""),
]

_RECOMMENDING = [
    Mutant(_SERVICE, "the whole history read", "request.history[-self.models.history_length :]", "request.history"),
    Mutant(
        _SERVICE, "the history recommended again", "(*request.history, *request.seen) if not", "request.seen if not"
    ),
    Mutant(_SERVICE, "what was seen recommended", "(*request.history, *request.seen) if not", "request.history if not"),
    Mutant(_SERVICE, "the worst first", "np.argsort(-scores, kind", "np.argsort(scores, kind"),
    Mutant(
        _SERVICE,
        "probabilities among the first alone",
        "list_probabilities(scores[None],",
        "list_probabilities(scores[None, places],",
    ),
    Mutant(
        _SERVICE, "lists by the catalogue's temperatures", "temperatures(kind)[name]", 'temperatures("catalogue")[name]'
    ),
    Mutant(
        _SERVICE, "the recommender's last items proposed", "np.argsort(-scores[unseen]", "np.argsort(scores[unseen]"
    ),
    Mutant(_SERVICE, "a lock of its own for each", "        other._lock = self._lock", "        pass"),
    Mutant(_SERVICE, "equal candidates taken", "max(2, len(listed))", "2"),
    Mutant(
        _CHOOSING, "free questions by another template", "candidates, self._tuned.params.template)", "candidates, 0)"
    ),
    Mutant(_RESPONDENT, "free questions by another template", "candidates, tuned.params.template)", "candidates, 0)"),
    Mutant(_QUESTIONS, "free candidates sorted", "history, row.tolist()", "history, sorted(row.tolist())"),
    Mutant(
        _SEGMENTS, "titles outside the catalogue with tokens", 'PADDING_ID, "text", fusion', "PADDING_ID, mode, fusion"
    ),
    Mutant(_SCORES, "weights exchanged", "theirs[None], self.weight)", "theirs[None], 1 - self.weight)"),
    Mutant(
        _SCORES, "the latest item first", "row[len(row) - len(items) :] = items", "row[-len(items) :] = items[::-1]"
    ),
    Mutant(
        _SCORES,
        "the wrong item left out of the recommender's history",
        "history[:place] + history[place + 1 :]",
        "history[: place + 1] + history[place + 2 :]",
    ),
    Mutant(
        _SCORES, "scores of another pool", "found[place] = row[asked[place].pool]", "found[place] = row[asked[0].pool]"
    ),
    Mutant(_LEFT_OUT, "a part sees all of the history", "visible[start:end, shared:start] = False", "pass"),
    Mutant(
        _LEFT_OUT,
        "positions go on behind the history",
        "positions += range(shared, len(tokens))",
        "positions += range(len(positions), len(positions) + len(tokens) - shared)",
    ),
    Mutant(_LEFT_OUT, "slots of other items shared", "if pair[0] != pair[1]", "if pair[0][0] != pair[1][0]"),
    Mutant(
        _CALIBRATION,
        "what was seen in the catalogue",
        "np.setdiff1d(np.arange(1, models.n_items + 1), before(row))",
        "np.arange(1, models.n_items + 1)",
    ),
    Mutant(
        _CALIBRATION,
        "temperatures exchanged",
        "lists=fitted[0], catalogue=fitted[1]",
        "lists=fitted[1], catalogue=fitted[0]",
    ),
    Mutant(
        _CALIBRATION,
        "the first users alone",
        "np.linspace(0, len(ids) - 1, n_examples).round().astype(int)",
        "np.arange(n_examples)",
    ),
    Mutant(_TITLES, "a sequel is a typo", "if numerals(key) != numerals(words):", "if False:"),
    Mutant(
        _TITLES,
        "the first of several guessed",
        "if len(same) == 1 else self._ask(typed, same)",
        "if same else self._ask(typed, same)",
    ),
    Mutant(_TITLES, "the year ignored", "if year is not None:", "if False:"),
    Mutant(_TITLES, "another year guessed", "if not fitting and self._years[same[0]] is not None:", "if False:"),
    Mutant(_TITLES, "one word may begin a title", 'if " " in words and len(', "if len("),
    Mutant(_TITLES, "the nearer of two guessed", "< _MARGIN for", "< 0 for"),
    Mutant(_KEYS, "accents kept", "if not unicodedata.combining(char)", "if char"),
    Mutant(_KEYS, "articles kept in front", '_FIRST_ARTICLE.sub("", _LAST_ARTICLE', '("{}".format)(_LAST_ARTICLE'),
    Mutant(
        _TYPED,
        "the first question alone",
        "raise AmbiguousTitleError(where, questions)",
        "raise AmbiguousTitleError(where, questions[:1])",
    ),
    Mutant(_TYPED, "unknown candidates left out", "if len(known) < len(listed.items):", "if False:"),
    Mutant(_BATCH, "damaged pieces taken", "if kept_rankings(path, made_from) is None]", "if not path.exists()]"),
    Mutant(_HISTORY_ROWS, "empty histories taken", "        if not items:", "        if items is None:"),
    Mutant(
        _HISTORY_ROWS,
        "ids needn't be unique",
        "(first := seen.setdefault(value, row)) != row",
        "(first := seen.setdefault(value, row)) > row",
    ),
]

_EXPORTING = [
    Mutant(_PIECES_OF_PROMPTS, "slots as other tokens", "~token if is_slot", "-token if is_slot"),
    Mutant(
        _PIECES_OF_PROMPTS,
        "every first piece in the midst of a text",
        "cut = cutter.behind if place else cutter.opening",
        "cut = cutter.behind",
    ),
    Mutant(_PIECES_OF_PROMPTS, "histories without a beginning", "[cutter.opening(show", "[cutter.behind(show"),
    Mutant(_PIECES_OF_PROMPTS, "no separator", "show(writer.separator, item)", 'show("", item)'),
    Mutant(_PIECES_OF_PROMPTS, "the chat's end left out", "end + cutter.after", "end"),
    Mutant(_PIECES_OF_PROMPTS, "always template 0", "writer.templates[template], words", "writer.templates[0], words"),
    Mutant(_MERGING, "tied ends merged together", "    _untie(llm)\n", ""),
    Mutant(_MERGING, "tied again by who loads it", "llm.config.tie_word_embeddings = False", "pass"),
    Mutant(_MERGING, "LoRA not merged", "            layer.merge(safe_merge=True)", "            pass"),
    Mutant(_ARTIFACTS, "never merged", 'if manifest.llm.dtype == "float32"', 'if manifest.llm.dtype == "float16"'),
    Mutant(_ARTIFACTS, "merged in bfloat16", 'if manifest.llm.dtype == "float32" and', "if"),
    Mutant(_EXPORT, "gates and sums replace words", "float(manifest.fusion.kind in ADDITIVE)", "0.0"),
    Mutant(
        _EXPORT,
        "behavioural tokens before the gate",
        "projector.at_slots(hybrid.item_embeddings, every_item)",
        "projector(hybrid.item_embeddings)",
    ),
    Mutant(
        _EXPORT,
        "always written in private",
        "require_permission(terms, private=private)",
        "require_permission(terms, private=True)",
    ),
    Mutant(
        _EXPORT,
        "files listed before the card is there",
        '        write_card(temporary / "README.md", exported)\n        seal(temporary)',
        '        seal(temporary)\n        write_card(temporary / "README.md", exported)',
    ),
    Mutant(_DESTINATION, "replaced without being asked", "    if not force:", "    if False:"),
    Mutant(_DESTINATION, "other people's folders replaced", "    if not _is_export(folder):", "    if False:"),
    Mutant(
        _DESTINATION,
        "other people's files in it lost",
        '    require_seal(folder, "move',
        '    (lambda *_: None)(folder, "move',
    ),
    Mutant(_TERMS, "params.yaml believed", "if source != (selected", "if None is (selected"),
    Mutant(_TERMS, "a source of other items", "if digest != items.digest", "if digest is None"),
    Mutant(_RECORDED, "metrics of other predictions", "abs(told - found) > _ROUNDED", "abs(told - found) > 1"),
    Mutant(_RECORDED, "models without predictions", "!= answered.predictions.keys()", "== {}"),
    Mutant(_RECORDED, "any weight of both", "return bool(np.allclose(", "return True or bool(np.allclose("),
    Mutant(_RECORDED, "metrics of other artifacts", "if any(made_from.get(name) != digest", "if any(False and digest"),
    Mutant(
        _LICENCES,
        "MovieLens handed on",
        '{_GROUPLENS}{readme}",\n        may_be_handed_on=False',
        '{_GROUPLENS}{readme}",\n        may_be_handed_on=True',
    ),
]

_SERVING = [
    Mutant(_THREAD, "all asked with tokens on", "answer(self._services[tokens],", 'answer(self._services["on"],'),
    Mutant(_THREAD, "more read together", "len(entries) < self._together:", "len(entries) <= self._together:"),
    Mutant(_THREAD, "one error for all", "        if len(entries) == 1:", "        if entries:"),
    Mutant(
        _THREAD,
        "what waits dropped at the end",
        "                return entries, True",
        "                return entries[:0], True",
    ),
    Mutant(
        _THREAD,
        "given up and yet read",
        " if entry.answer.running() or entry.answer.set_running_or_notify_cancel()]",
        "]",
    ),
    Mutant(_QUESTION, "markup shown to the model", "if isinstance(item, str) and _TAG.search(item):", "if False:"),
    Mutant(_QUESTION, "unknown candidates left out", "if len(known) < len(listed.items):", "if False:"),
    Mutant(_BOUNDS, "only declared lengths limited", " if size <= self._n_bytes else None", ""),
    Mutant(_BOUNDS, "requests not counted", "self._limiter.hit(", "self._limiter.test("),
    Mutant(_BOUNDS, "any name of a server", 'self._names & {"*", name}', "self._names"),
    Mutant(_SERVER, "names on loopback of 127.0.0.1 alone", ".is_loopback", ' == ip_address("127.0.0.1")'),
    Mutant(_SENT, "control characters taken", 'if unicodedata.category(char)[0] == "C" or', "if"),
]


MUTANTS = [
    *_PLANNING,
    *_ASKED_OUTSIDE,
    *_EXPORTING,
    *_SERVING,
    *_RECOMMENDING,
    *_PLOTTING,
    *_SUITES,
    *_REPORTED,
    *_EXAMPLES,
    *_OPTIMISATION,
    *_CHOICE,
    *_ACROSS_FAMILIES,
    *_TENSORS,
    *_PARTS,
    *_VARIANTS,
    *_READING,
    *_POINTING,
    *_DRAWING,
    *_JUDGING,
    *_RUNNING,
]
